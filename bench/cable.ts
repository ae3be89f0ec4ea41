/** A cable to a party that can be cut: who calls its address reaches the party, unless it is cut just then. */
import { connect, createServer, type Server, type Socket } from "node:net";

export class Cable {
  private readonly sockets = new Set<Socket>();
  private isCut = false;

  private constructor(private readonly server: Server) {}

  /** A cable to a port of the loopback interface. */
  static async to(port: number): Promise<Cable> {
    const cable = new Cable(createServer((near) => cable.join(near, port)));
    await new Promise<void>((resolve) => cable.server.listen(0, "127.0.0.1", resolve));
    return cable;
  }

  get port(): number {
    return (this.server.address() as { readonly port: number }).port;
  }

  /** Ends every connection, and every new one for so many milliseconds. */
  cut(milliseconds: number): void {
    this.isCut = true;
    this.sockets.forEach((socket) => void socket.destroy());
    setTimeout(() => {
      this.isCut = false;
    }, milliseconds).unref();
  }

  close(): void {
    this.server.close();
    this.sockets.forEach((socket) => void socket.destroy());
  }

  private join(near: Socket, port: number): void {
    if (this.isCut) {
      near.destroy();
      return;
    }
    const far = connect(port, "127.0.0.1");
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ]) {
      this.sockets.add(socket);
      socket.pipe(other);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
  }
}

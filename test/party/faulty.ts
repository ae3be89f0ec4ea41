/**
 * A network that does what networks do: it delays, stalls, cuts, truncates, drops, duplicates, changes and replays
 * bytes, on connections and at places drawn from a seed. Who calls a party is led through here.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { seededNumbers } from "../../ir/seeded.js";
import type { Address } from "../../runtime/connect.js";

const FAULTS = ["cut", "stall", "end", "drop", "double", "garble", "slow", "replay"] as const;
type Fault = (typeof FAULTS)[number];

const MOST_HEARD = 1 << 16;

/** Connections that nothing happens to, of ten. */
const SOUND = 8;

export class FaultyNetwork {
  private readonly servers: Server[] = [];
  private readonly sockets = new Set<Socket>();
  private random: (() => number) | undefined;
  /** The beginning of what earlier callers said. */
  private readonly heard: Buffer[] = [];

  /** From now on things go wrong as this seed says; undefined: nothing does. */
  plan(seed: number | undefined): void {
    this.random = seed === undefined ? undefined : seededNumbers(seed);
  }

  /** An address that leads to this one. */
  async through(at: Address): Promise<Address> {
    const server = createServer((near) => this.join(near, at));
    this.servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { host: "127.0.0.1", port: (server.address() as { port: number }).port };
  }

  close(): void {
    this.servers.forEach((server) => void server.close());
    this.sockets.forEach((socket) => void socket.destroy());
  }

  private join(near: Socket, at: Address): void {
    const far = connect(at as { host: string; port: number });
    const both = [near, far];
    for (const socket of both) {
      this.sockets.add(socket);
      socket.on("error", () => both.forEach((each) => void each.destroy()));
      socket.on("close", () => {
        both.forEach((each) => void each.destroy());
        this.sockets.delete(socket);
      });
    }
    const pick = (count: number): number => Math.floor((this.random?.() ?? 0) * count);
    const isSound = this.random === undefined || pick(10) < SOUND;
    const fault = isSound ? undefined : FAULTS[pick(FAULTS.length)];
    const isForward = pick(2) === 0;
    // Most of a session is a few hundred kilobytes; its beginning is as interesting as all the rest.
    const place = 2 ** pick(19) + pick(1000);
    if (fault === "replay") {
      this.replay(at, pick(this.heard.length));
    }
    near.once("data", (chunk: Buffer) => void this.heard.push(Buffer.from(chunk.subarray(0, MOST_HEARD))));
    this.lead(near, far, isForward ? fault : undefined, place);
    this.lead(far, near, isForward ? undefined : fault, place);
  }

  /** Says to a party what was said before. */
  private replay(at: Address, which: number): void {
    const socket = connect(at as { host: string; port: number });
    this.sockets.add(socket);
    socket.on("error", () => socket.destroy()).on("close", () => this.sockets.delete(socket));
    socket.end(this.heard[which] ?? Buffer.alloc(0));
  }

  private lead(from: Socket, to: Socket, fault: Fault | undefined, place: number): void {
    let seen = 0;
    let isStalled = false;
    from.on("end", () => void to.end());
    from.on("data", (chunk: Buffer) => {
      const isHere = fault !== undefined && seen <= place && place < seen + chunk.length;
      seen += chunk.length;
      if (isStalled) {
        return;
      }
      if (!isHere) {
        to.write(chunk);
        return;
      }
      switch (fault) {
        case "cut":
          from.destroy();
          return;
        case "end":
          to.end(chunk.subarray(0, 1));
          return;
        case "stall":
          isStalled = true;
          return;
        case "drop":
          return;
        case "replay":
          to.write(chunk);
          return;
        case "double":
          to.write(chunk);
          to.write(chunk);
          return;
        case "garble":
          chunk[chunk.length >> 1] ^= 0x40;
          to.write(chunk);
          return;
        default:
          from.pause();
          setTimeout(() => {
            to.write(chunk);
            from.resume();
          }, 200);
      }
    });
  }
}

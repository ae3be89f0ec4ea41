/**
 * How peers find each other. Every party listens at one address; a party dials the parties with smaller numbers and a
 * client dials all three. The first line of a connection says who dials. On Unix sockets that is believed, because the
 * folder is private to one user; over TLS both sides must hold the certificate that is pinned for the name.
 */
import { createServer, connect as dialPlain, type Server, type Socket } from "node:net";
import { type ConnectionOptions, createServer as createTlsServer, connect as dialTls, type TLSSocket } from "node:tls";
import { fail, PumacError } from "../ir/diagnostics.js";
import { checkIdentity, type Identity, tlsOptions } from "./identity.js";
import type { SocketTransport } from "./socket-transport.js";
import { PARTIES, type PartyName, type PeerName } from "./transport.js";

/** A Unix socket's path, or a TCP port at a host. */
export type Address = { readonly path: string } | { readonly host: string; readonly port: number };

const GREETING_BYTES = 8;
const RETRY_MILLISECONDS = 50;

/** Who connects to a listening party: the parties with larger numbers and both clients. */
function expectedAt(self: PartyName): readonly PeerName[] {
  return [...PARTIES.filter((name) => name > self), "model", "data"];
}

export interface Listener {
  readonly address: Address;
  /** Resolves when every peer that dials this party is attached. */
  readonly complete: Promise<void>;
  close(): void;
}

/**
 * Listens for the peers of a party and attaches each to the transport. Without an identity: no TLS. Who has not called
 * within `timeout` milliseconds is given up (E0602).
 */
export async function listen(
  transport: SocketTransport,
  at: Address,
  identity: Identity | undefined,
  timeout: number,
): Promise<Listener> {
  const missing = new Set(expectedAt(transport.self as PartyName));
  const pending = new Set<Socket>();
  let settle: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  const complete = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  complete.catch(() => undefined);
  const timer = setTimeout(() => {
    const what = `${[...missing].join(", ")} did not connect within ${timeout / 1000} seconds`;
    settle?.reject(fail({ code: "E0602", what, where: [...missing][0] }));
  }, timeout);

  const welcome = (socket: Socket): void => {
    pending.add(socket);
    socket.on("error", () => socket.destroy());
    greeted(socket)
      .then((name) => {
        pending.delete(socket);
        if (!missing.has(name)) {
          throw fail({ code: "E0701", what: `'${name}' is not expected here`, where: transport.self });
        }
        checkIdentity(socket, name, identity);
        transport.attach(name, socket);
        missing.delete(name);
        if (missing.size === 0) {
          clearTimeout(timer);
          settle?.resolve();
        }
      })
      .catch((error: unknown) => {
        pending.delete(socket);
        socket.destroy();
        if (!hungUp(error)) {
          settle?.reject(error);
        }
      });
  };
  const server =
    identity === undefined
      ? createServer(welcome)
      : createTlsServer(tlsOptions(identity), welcome as (s: TLSSocket) => void);
  server.on("tlsClientError", () => {
    settle?.reject(fail({ code: "E0701", what: "a peer without a pinned certificate called", where: transport.self }));
  });
  const address = await bind(server, at);
  const close = (): void => {
    clearTimeout(timer);
    server.close();
    for (const socket of pending) {
      socket.destroy();
    }
  };
  return { address, complete, close };
}

/** A caller that leaves before it says who it is (a port scan, a health check) does no harm. */
function hungUp(error: unknown): boolean {
  return error instanceof PumacError && error.diagnostics[0].code === "E0601";
}

function bind(server: Server, at: Address): Promise<Address> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      reject(fail({ code: "E1001", what: `cannot listen: ${error.message}`, where: JSON.stringify(at) }));
    });
    server.listen(at, () => {
      const bound = server.address();
      resolve("path" in at || bound === null || typeof bound === "string" ? at : { host: at.host, port: bound.port });
    });
  });
}

/** Reads the greeting: the dialling peer's name, padded with spaces to 8 bytes. */
function greeted(socket: Socket): Promise<PeerName> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(fail({ code: "E0601", what: "a caller hung up before saying who it is" }));
    const read = (): void => {
      const greeting: Buffer | null = socket.read(GREETING_BYTES);
      if (greeting !== null) {
        socket.off("readable", read).off("close", gone).off("error", gone);
        resolve(greeting.toString("latin1").trim() as PeerName);
      }
    };
    socket.on("readable", read).on("close", gone).on("error", gone);
    read();
  });
}

/** Dials a party, again and again until it listens or the time (milliseconds) is over, and attaches it. */
export async function dial(
  transport: SocketTransport,
  peer: PartyName,
  at: Address,
  identity: Identity | undefined,
  timeout: number,
): Promise<void> {
  const deadline = performance.now() + timeout;
  for (;;) {
    try {
      const socket = await dialOnce(at, identity);
      checkIdentity(socket, peer, identity);
      socket.write(transport.self.padEnd(GREETING_BYTES), "latin1");
      transport.attach(peer, socket);
      return;
    } catch (error) {
      if (error instanceof PumacError) {
        throw error;
      }
      if (!isNotListening(error) || performance.now() > deadline) {
        const why = error instanceof Error ? error.message : JSON.stringify(at);
        throw fail({ code: "E0601", what: `${peer} cannot be reached`, where: peer, why });
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS));
    }
  }
}

function isNotListening(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ECONNREFUSED";
}

function dialOnce(at: Address, identity: Identity | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket: Socket =
      identity === undefined
        ? dialPlain(at, () => settled())
        : dialTls({ ...at, ...tlsOptions(identity), checkServerIdentity: () => undefined } as ConnectionOptions, () =>
            settled(),
          );
    const settled = (): void => {
      socket.off("error", reject);
      resolve(socket);
    };
    socket.once("error", reject);
  });
}

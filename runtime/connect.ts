/**
 * How peers find each other. Every party listens at one address; a party dials the parties with smaller numbers and a
 * client dials all three. The first bytes of a connection say who dials. On Unix sockets that is believed, because the
 * folder is private to one user; over TLS both sides must hold the certificate that is pinned for the name. Without
 * TLS nobody listens or dials beyond this machine.
 *
 * Who calls and is nobody that is expected (a port scan, a web browser, a peer of another session) is hung up on, and
 * the listener waits on: a stranger cannot end a session.
 */
import {
  BlockList,
  createServer,
  connect as dialPlain,
  isIP,
  type NetConnectOpts,
  type Server,
  type Socket,
} from "node:net";
import { type ConnectionOptions, createServer as createTlsServer, connect as dialTls } from "node:tls";
import { fail, PumacError } from "../ir/diagnostics.js";
import { checkIdentity, type Identity, tlsOptions } from "./identity.js";
import type { SocketTransport } from "./socket-transport.js";
import { PARTIES, type PartyName, type PeerName } from "./transport.js";

/** A Unix socket's path, or a TCP port at a host. */
export type Address = { readonly path: string } | { readonly host: string; readonly port: number };

const GREETING_BYTES = 8;
/** Who calls and does not say within so many milliseconds who it is, is hung up on. */
const PATIENCE = 10_000;
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
 * Listens for the peers of a party and attaches each to the transport. Without an identity: no TLS, and E0201 for an
 * address that another machine could reach. Who has not called within `timeout` milliseconds is given up (E0602).
 */
export async function listen(
  transport: SocketTransport,
  at: Address,
  identity: Identity | undefined,
  timeout: number,
): Promise<Listener> {
  refuseOpenPlain(at, identity);
  const missing = new Set(expectedAt(transport.self as PartyName));
  const pending = new Set<Socket>();
  let refused = 0;
  let ending: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  const complete = new Promise<void>((resolve, reject) => {
    ending = { resolve, reject };
  });
  complete.catch(() => undefined);
  const timer = setTimeout(() => {
    const what = `${[...missing].join(", ")} did not connect within ${timeout / 1000} seconds`;
    const why = `${refused} callers were refused: they said no expected name, or held no certificate pinned for it`;
    ending?.reject(fail({ code: "E0602", what, where: [...missing][0], ...(refused > 0 ? { why } : {}) }));
  }, timeout);

  const welcome = async (socket: Socket): Promise<void> => {
    pending.add(socket);
    socket.on("error", () => socket.destroy());
    try {
      const name = await greeted(socket);
      if (!missing.has(name)) {
        throw fail({ code: "E0701", what: "a caller is not expected here", where: transport.self });
      }
      checkIdentity(socket, name, identity);
      missing.delete(name);
      transport.attach(name, socket);
      if (missing.size === 0) {
        clearTimeout(timer);
        ending?.resolve();
      }
    } catch {
      refused++;
      socket.destroy();
    } finally {
      pending.delete(socket);
    }
  };
  const server =
    identity === undefined
      ? createServer(welcome)
      : createTlsServer({ ...tlsOptions(identity), handshakeTimeout: PATIENCE }, welcome);
  server.on("tlsClientError", () => {
    refused++;
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

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("::1", "ipv6");

function isLoopback(host: string): boolean {
  const version = isIP(host);
  return version !== 0 && LOOPBACK.check(host, version === 6 ? "ipv6" : "ipv4");
}

/** Throws E0201 for an address that leaves this machine, without TLS: names are not looked up, so they do. */
function refuseOpenPlain(at: Address, identity: Identity | undefined): void {
  if (identity === undefined && !("path" in at) && !isLoopback(at.host)) {
    const fix = "give every peer a certificate, or use a Unix socket or 127.0.0.1";
    throw fail({ code: "E0201", what: "no peer talks in plain beyond its own machine", where: at.host, fix });
  }
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
    const gone = (): void => {
      clearTimeout(timer);
      reject(fail({ code: "E0601", what: "a caller hung up before saying who it is" }));
    };
    const timer = setTimeout(gone, PATIENCE).unref();
    const read = (): void => {
      const greeting: Buffer | null = socket.read(GREETING_BYTES);
      if (greeting !== null) {
        clearTimeout(timer);
        socket.off("readable", read).off("close", gone).off("error", gone);
        resolve(greeting.toString("latin1").trim() as PeerName);
      }
    };
    socket.on("readable", read).on("close", gone).on("error", gone);
    read();
  });
}

/**
 * Dials a party, again and again until it listens or the time (milliseconds) is over, and attaches it. E0701 where the
 * other end does not hold the certificate that is pinned for it; E0201 without an identity beyond this machine.
 */
export async function dial(
  transport: SocketTransport,
  peer: PartyName,
  at: Address,
  identity: Identity | undefined,
  timeout: number,
): Promise<void> {
  refuseOpenPlain(at, identity);
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

const READ_BYTES = 1 << 18;

/**
 * Reads a socket into one buffer instead of a fresh one each time. Who hears "data" must have copied what it keeps when
 * it returns, as a link does.
 */
function intoOneBuffer(socketOf: () => Socket): NonNullable<NetConnectOpts["onread"]> {
  const callback = (count: number, buffer: Uint8Array): boolean => {
    socketOf().emit("data", buffer.subarray(0, count));
    return true;
  };
  return { buffer: new Uint8Array(READ_BYTES), callback };
}

function dialOnce(at: Address, identity: Identity | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket: Socket =
      identity === undefined
        ? dialPlain({ ...at, onread: intoOneBuffer(() => socket) }, () => arrived())
        : dialTls({ ...at, ...tlsOptions(identity), checkServerIdentity: () => undefined } as ConnectionOptions, () =>
            arrived(),
          );
    const arrived = (): void => {
      socket.off("error", reject);
      resolve(socket);
    };
    socket.once("error", reject);
  });
}

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
  type Server as NetServer,
  type Socket,
} from "node:net";
import {
  type ConnectionOptions,
  createServer as createTlsServer,
  connect as dialTls,
  Server as TlsServer,
} from "node:tls";
import { fail, PumacError } from "../ir/diagnostics.js";
import { checkIdentity, dialOptions, type Identity, tlsOptions } from "./identity.js";
import type { SocketTransport } from "./socket-transport.js";
import { PARTIES, type PartyName, type PeerName } from "./transport.js";

/** A Unix socket's path, or a TCP port at a host. */
export type Address = { readonly path: string } | { readonly host: string; readonly port: number };

/** What a greeting begins with: the caller's role, padded with spaces; then what the call is about. */
const ROLE_BYTES = 8;
const ID_BYTES = 32;
/** What a call is about where there is one session only. */
const ONLY_SESSION = "0".repeat(ID_BYTES);
/** Who calls and does not say within so many milliseconds who it is, is hung up on. */
const PATIENCE = 10_000;
/** So many callers may be about to say who they are; the next one is hung up on. */
const MOST_PENDING = 256;
const RETRY_MILLISECONDS = 50;

/** Somebody who has called and proved who it is. */
export interface Caller {
  readonly role: PeerName;
  /** The name that its certificate is pinned for; the role's without TLS. */
  readonly name: string;
  /** The session, or the sharing, that the call is about: 32 hexadecimal digits of the caller's choice. */
  readonly id: string;
  readonly socket: Socket;
}

export interface Server {
  readonly address: Address;
  /** How many callers were hung up on. */
  readonly refused: () => number;
  /** From now on calls are met with this identity; nothing changes for who is connected. Only over TLS. */
  renew(identity: Identity): void;
  close(): void;
}

/**
 * Listens, and hands over who calls and is who it says; `welcome` throws for who is not expected. Without an identity:
 * no TLS, and E0201 for an address that another machine could reach.
 */
export async function serve(
  at: Address,
  first: Identity | undefined,
  welcome: (caller: Caller) => void,
): Promise<Server> {
  let identity = first;
  refuseOpenPlain(at, identity);
  const pending = new Set<Socket>();
  let refused = 0;
  const meet = async (socket: Socket): Promise<void> => {
    pending.add(socket);
    socket.on("error", () => socket.destroy());
    try {
      if (pending.size > MOST_PENDING) {
        throw new Error("too many callers at once");
      }
      const { role, id } = await greeted(socket);
      welcome({ role, id, socket, name: checkIdentity(socket, role, identity) });
    } catch {
      refused++;
      socket.destroy();
    } finally {
      pending.delete(socket);
    }
  };
  const server =
    identity === undefined
      ? createServer(meet)
      : createTlsServer({ ...tlsOptions(identity), handshakeTimeout: PATIENCE }, meet);
  server.on("tlsClientError", () => {
    refused++;
  });
  const address = await bind(server, at);
  const close = (): void => {
    server.close();
    for (const socket of pending) {
      socket.destroy();
    }
  };
  const renew = (next: Identity): void => {
    if (server instanceof TlsServer) {
      identity = next;
      server.setSecureContext(tlsOptions(next));
    }
  };
  return { address, close, renew, refused: () => refused };
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("::1", "ipv6");

/** Whether a host, by address, is this machine alone. */
export function isLoopback(host: string): boolean {
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

function bind(server: NetServer, at: Address): Promise<Address> {
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

/** Reads the greeting: the caller's role and what the call is about. */
function greeted(socket: Socket): Promise<Pick<Caller, "role" | "id">> {
  return new Promise((resolve, reject) => {
    const gone = (): void => {
      clearTimeout(timer);
      reject(fail({ code: "E0601", what: "a caller hung up before saying who it is" }));
    };
    const timer = setTimeout(gone, PATIENCE).unref();
    let role: PeerName | undefined;
    const read = (): void => {
      // Whose first bytes are no role need not be heard out.
      role ??= roleOf(socket.read(ROLE_BYTES), gone);
      const id: Buffer | null = role === undefined ? null : socket.read(ID_BYTES);
      if (role !== undefined && id !== null) {
        clearTimeout(timer);
        socket.off("readable", read).off("close", gone).off("error", gone);
        resolve({ role, id: id.toString("latin1") });
      }
    };
    socket.on("readable", read).on("close", gone).on("error", gone);
    read();
  });
}

/** The role that a greeting begins with; undefined where it has not come. Calls `refuse` where it is none. */
function roleOf(bytes: Buffer | null, refuse: () => void): PeerName | undefined {
  const role = ROLES.find((name) => name === bytes?.toString("latin1").trim());
  if (bytes !== null && role === undefined) {
    refuse();
  }
  return role;
}

const ROLES: readonly PeerName[] = [...PARTIES, "model", "data"];

/** Dials a party and attaches it to the transport of a session; see `call`. */
export async function dial(
  transport: SocketTransport,
  peer: PartyName,
  at: Address,
  identity: Identity | undefined,
  timeout: number,
  id = ONLY_SESSION,
): Promise<void> {
  transport.attach(peer, await call(transport, peer, at, identity, { timeout, id }));
}

/**
 * Dials a party, again and again until it listens or the time (milliseconds) is over, and says who calls (its role) and
 * about what (`id`). E0701 where the other end does not hold the certificate that is pinned for it; E0201 without an
 * identity beyond this machine. Nobody goes on calling for a session that is over.
 */
async function call(
  { self, signal }: SocketTransport,
  peer: PartyName,
  at: Address,
  identity: Identity | undefined,
  { timeout, id }: { readonly timeout: number; readonly id: string },
): Promise<Socket> {
  refuseOpenPlain(at, identity);
  const deadline = performance.now() + timeout;
  for (;;) {
    try {
      const socket = await dialOnce(at, identity, Math.max(1, deadline - performance.now()));
      checkIdentity(socket, peer, identity);
      socket.write(self.padEnd(ROLE_BYTES) + id, "latin1");
      return socket;
    } catch (error) {
      if (error instanceof PumacError) {
        throw error;
      }
      if (isRefusedIdentity(error)) {
        const why = (error as Error).message;
        const fix = "exchange the certificates again (an expired one is made anew with pumac init --renew)";
        throw fail({ code: "E0701", what: `${peer} is not who it says`, where: peer, why, fix });
      }
      if (error === SILENT) {
        const why = `it did not take a call within ${timeout / 1000} seconds`;
        throw fail({ code: "E0602", what: `${peer} did not answer in time`, where: peer, why });
      }
      if (!isNotListening(error) || performance.now() > deadline) {
        const why = error instanceof Error ? error.message : JSON.stringify(at);
        throw fail({ code: "E0601", what: `${peer} cannot be reached`, where: peer, why });
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS));
      signal.throwIfAborted();
    }
  }
}

/** Who dials has waited for long enough. */
const SILENT = new Error("it does not answer");

function isNotListening(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ECONNREFUSED";
}

/** What OpenSSL says of a certificate that it does not take. */
function isRefusedIdentity(error: unknown): boolean {
  const code = String((error as NodeJS.ErrnoException).code);
  return /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code);
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

/** As Node takes them: its types leave out that a TLS socket reads into one buffer as any other does. */
type TlsOptions = ConnectionOptions & Pick<NetConnectOpts, "onread">;

/** Who is at the other end is told by its pinned certificate (identity.ts), not by a host's name. */
const ANY_NAME = { checkServerIdentity: () => undefined };

function dialOnce(at: Address, identity: Identity | undefined, timeout: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const onread = intoOneBuffer(() => socket);
    const socket: Socket =
      identity === undefined
        ? dialPlain({ ...at, onread }, () => arrived())
        : dialTls({ ...at, ...dialOptions(identity), ...ANY_NAME, onread } as TlsOptions, () => arrived());
    const timer = setTimeout(() => socket.destroy(SILENT), timeout);
    const arrived = (): void => {
      clearTimeout(timer);
      socket.off("error", refused);
      resolve(socket);
    };
    const refused = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    socket.once("error", refused);
  });
}

/** Three parties and two clients connected by real sockets inside the test process. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createIdentities } from "../../client/identities.js";
import { fail } from "../../ir/diagnostics.js";
import { type Address, dial, serve } from "../../runtime/connect.js";
import type { Identity } from "../../runtime/identity.js";
import { SocketTransport } from "../../runtime/socket-transport.js";
import { PARTIES, type PartyName, type PeerName } from "../../runtime/transport.js";

export const PEERS: readonly PeerName[] = [...PARTIES, "model", "data"];

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
 * Listens for the peers of one session's party and attaches each to the transport. Who has not called within `timeout`
 * milliseconds is given up (E0602).
 */
export async function listen(
  transport: SocketTransport,
  at: Address,
  identity: Identity | undefined,
  timeout: number,
): Promise<Listener> {
  const missing = new Set(expectedAt(transport.self as PartyName));
  let ending: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  const complete = new Promise<void>((resolve, reject) => {
    ending = { resolve, reject };
  });
  complete.catch(() => undefined);
  const server = await serve(at, identity, ({ role, socket }) => {
    if (!missing.delete(role)) {
      throw fail({ code: "E0701", what: "a caller is not expected here", where: transport.self });
    }
    transport.attach(role, socket);
    if (missing.size === 0) {
      clearTimeout(timer);
      ending?.resolve();
    }
  });
  const timer = setTimeout(() => {
    const what = `${[...missing].join(", ")} did not connect within ${timeout / 1000} seconds`;
    const refused = server.refused();
    const why = `${refused} callers were refused: they said no expected name, or held no certificate pinned for it`;
    ending?.reject(fail({ code: "E0602", what, where: [...missing][0], ...(refused > 0 ? { why } : {}) }));
  }, timeout);
  const close = (): void => {
    clearTimeout(timer);
    server.close();
  };
  return { address: server.address, complete, close };
}

export interface Mesh {
  readonly of: (name: PeerName) => SocketTransport;
  readonly close: () => void;
}

/** Connects everybody; `timeout` in milliseconds is how long a receive waits. */
export async function connectMesh(options: { tls: boolean; timeout: number }): Promise<Mesh> {
  const folder = mkdtempSync(join(tmpdir(), "pumac-test-"));
  const identities = options.tls ? await createIdentities(PEERS, 1) : new Map<PeerName, Identity>();
  const transports = new Map(PEERS.map((name) => [name, new SocketTransport(name, options.timeout)]));
  const addresses = new Map<PartyName, Address>();
  const listeners: Listener[] = [];
  for (const name of PARTIES) {
    const at = options.tls ? { host: "127.0.0.1", port: 0 } : { path: join(folder, `${name}.sock`) };
    const listener = await listen(transports.get(name)!, at, identities.get(name), 5000);
    listeners.push(listener);
    addresses.set(name, listener.address);
  }
  const dials = PEERS.flatMap((name) =>
    PARTIES.filter((party) => party < name || name === "model" || name === "data").map((party) =>
      dial(transports.get(name)!, party, addresses.get(party)!, identities.get(name), 5000),
    ),
  );
  await Promise.all([...dials, ...listeners.map((listener) => listener.complete)]);
  const close = (): void => {
    for (const listener of listeners) {
      listener.close();
    }
    for (const transport of transports.values()) {
      transport.abort(new Error("the test is over"));
    }
    rmSync(folder, { recursive: true, force: true });
  };
  return { of: (name) => transports.get(name)!, close };
}

/** The diagnostics of a promise that must be rejected with some. */
export async function rejection(promise: Promise<unknown>): Promise<{ code: string; where: string | undefined }> {
  const error = await promise.then(
    () => new Error("not rejected"),
    (reason: unknown) => reason,
  );
  const diagnostics = (error as { diagnostics?: { code: string; where?: string }[] }).diagnostics;
  if (diagnostics === undefined) {
    throw error;
  }
  return { code: diagnostics[0].code, where: diagnostics[0].where };
}

/**
 * Protects: whoever is at the other end of a link is who it says, nothing travels in plain beyond this machine, and no
 * stranger can end a session by calling.
 */
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { createIdentities } from "../../client/identities.js";
import type { PumacError } from "../../ir/diagnostics.js";
import { type Address, dial } from "../../runtime/connect.js";
import type { Identity } from "../../runtime/identity.js";
import { SocketTransport } from "../../runtime/socket-transport.js";
import type { PeerName } from "../../runtime/transport.js";
import { type Listener, listen, rejection } from "../runtime/mesh.js";

const NAMES: readonly PeerName[] = ["P0", "P1", "P2", "model", "data"];
const ANY = { host: "127.0.0.1", port: 0 };

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) {
    each.close();
  }
});

function transportOf(name: PeerName): SocketTransport {
  const transport = new SocketTransport(name, 5000);
  open.push({ close: () => transport.abort(new Error("the test is over")) });
  return transport;
}

async function listening(name: "P0" | "P2", identity: Identity | undefined, timeout = 5000) {
  const transport = transportOf(name);
  const listener = await listen(transport, ANY, identity, timeout);
  open.push(listener);
  return { transport, listener, port: (listener.address as { port: number }).port };
}

/** Resolves when the other side has hung up. */
function hungUp(socket: Socket): Promise<void> {
  socket.on("error", () => undefined).resume();
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

/** Both owners call P2, which then has everybody. */
async function callP2(listener: Listener, identities: ReadonlyMap<PeerName, Identity> | undefined): Promise<void> {
  for (const name of ["model", "data"] as const) {
    await dial(transportOf(name), "P2", listener.address, identities?.get(name), 5000);
  }
  await listener.complete;
}

describe("who dials", () => {
  it("refuses a listener with another pinned certificate, and takes the right one", async () => {
    const identities = await createIdentities(NAMES, 1);
    const { listener } = await listening("P0", identities.get("P0"));
    const data = () => transportOf("data");
    expect(await rejection(dial(data(), "P1", listener.address, identities.get("data"), 1000))).toEqual({
      code: "E0701",
      where: "P1",
    });
    await dial(data(), "P0", listener.address, identities.get("data"), 1000);
  });

  it("refuses a listener whose certificate nobody pinned", async () => {
    const [identities, strangers] = await Promise.all([createIdentities(NAMES, 1), createIdentities(NAMES, 1)]);
    const { listener } = await listening("P0", strangers.get("P0"));
    const dialled = dial(transportOf("data"), "P0", listener.address, identities.get("data"), 1000);
    expect(["E0601", "E0701"]).toContain((await rejection(dialled)).code);
  });
});

describe("plain sockets", () => {
  const beyond: readonly Address[] = [
    { host: "0.0.0.0", port: 0 },
    { host: "::", port: 0 },
    { host: "126.255.255.255", port: 0 },
    { host: "128.0.0.0", port: 0 },
    { host: "::2", port: 0 },
    { host: "example.org", port: 0 },
  ];
  it.each(beyond)("neither listen nor dial beyond this machine: $host", async (at) => {
    expect((await rejection(listen(transportOf("P2"), at, undefined, 100))).code).toBe("E0201");
    expect((await rejection(dial(transportOf("data"), "P2", at, undefined, 100))).code).toBe("E0201");
  });

  it("may listen on loopback, and over TLS anywhere", async () => {
    const listeners = [await listen(transportOf("P2"), { host: "127.255.255.254", port: 0 }, undefined, 100)];
    const identities = await createIdentities(["P2", "model", "data"], 1);
    listeners.push(await listen(transportOf("P2"), { host: "0.0.0.0", port: 0 }, identities.get("P2"), 100));
    for (const listener of listeners) {
      listener.close();
    }
  });
});

/** What strangers do: each resolves when it has been hung up on, or at once where it stays silent. */
const STRANGERS: Readonly<Record<string, (port: number) => Promise<void>>> = {
  "knocks and leaves": (port) => {
    const socket = connectPlain(port, "127.0.0.1", () => socket.destroy());
    return hungUp(socket);
  },
  "asks for a web page": (port) => {
    const socket = connectPlain(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nHost: here\r\n\r\n"));
    return hungUp(socket);
  },
  "sends noise": (port) => {
    const socket = connectPlain(port, "127.0.0.1", () => socket.write(Buffer.alloc(4096, 0xa5)));
    return hungUp(socket);
  },
  "says that it is a peer that does not call here": (port) => {
    const socket = connectPlain(port, "127.0.0.1", () => socket.write(`P0      ${"0".repeat(32)}`));
    return hungUp(socket);
  },
  "says nothing": (port) =>
    new Promise((resolve) => {
      const socket = connectPlain(port, "127.0.0.1", () => resolve());
      socket.on("error", () => undefined);
      open.push({ close: () => socket.destroy() });
    }),
  "speaks TLS without a certificate": (port) =>
    hungUp(connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false })),
};

describe.each([{ tls: false }, { tls: true }])("a stranger, with TLS $tls", ({ tls }) => {
  it.each(Object.entries(STRANGERS))("that %s ends no session", async (_, call) => {
    const identities = tls ? await createIdentities(["P2", "model", "data"], 1) : undefined;
    const { transport, listener, port } = await listening("P2", identities?.get("P2"));
    await call(port);
    expect([...transport.peers]).toEqual([]);
    await callP2(listener, identities);
    expect([...transport.peers].sort()).toEqual(["data", "model"]);
    // And afterwards: a session that runs is not ended by a call either.
    await call(port);
    expect([...transport.peers].sort()).toEqual(["data", "model"]);
  });

  it("is named when it is why somebody is missing", async () => {
    const identities = tls ? await createIdentities(["P2", "model", "data"], 1) : undefined;
    const { listener, port } = await listening("P2", identities?.get("P2"), 300);
    await STRANGERS["asks for a web page"](port);
    const error: unknown = await listener.complete.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect((error as PumacError).diagnostics[0]).toMatchObject({ code: "E0602", where: "model" });
    expect((error as PumacError).message).toContain("1 callers were refused");
  });
});

describe("a TLS older than 1.3 is refused, whatever certificates there are,", () => {
  it("by who listens", async () => {
    const identities = await createIdentities(["P2", "model", "data"], 1);
    const { listener, transport, port } = await listening("P2", identities.get("P2"));
    const { key, certificate: cert } = identities.get("data")!;
    const call = (maxVersion: "TLSv1.2" | "TLSv1.3"): Promise<string | null | undefined> =>
      new Promise((resolve) => {
        const versions = { minVersion: "TLSv1.2", maxVersion } as const;
        const socket = connectTls({ port, host: "127.0.0.1", key, cert, rejectUnauthorized: false, ...versions });
        socket.on("secureConnect", () => resolve(socket.getProtocol()));
        socket.on("error", ({ code }: NodeJS.ErrnoException) => resolve(code));
        open.push({ close: () => socket.destroy() });
      });
    expect(await call("TLSv1.3")).toBe("TLSv1.3");
    expect(await call("TLSv1.2")).toMatch(/PROTOCOL_VERSION/);
    expect([...transport.peers]).toEqual([]);
    await callP2(listener, identities);
  });

  it("by who dials", async () => {
    const identities = await createIdentities(["P2", "data"], 1);
    const { key, certificate: cert } = identities.get("P2")!;
    for (const [maxVersion, code] of [
      ["TLSv1.3", undefined],
      ["TLSv1.2", "E0601"],
    ] as const) {
      const server = createTlsServer({ key, cert, minVersion: "TLSv1.2", maxVersion }).on(
        "tlsClientError",
        () => undefined,
      );
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      open.push({ close: () => server.close() });
      const { port } = server.address() as { port: number };
      const dialled = dial(transportOf("data"), "P2", { host: "127.0.0.1", port }, identities.get("data"), 1000);
      expect(
        await dialled.then(
          () => undefined,
          () => rejection(dialled).then((said) => said.code),
        ),
      ).toBe(code);
    }
  });
});

describe("a peer with somebody else's certificate", () => {
  it("is not taken for either, and the true one still is", async () => {
    const identities = await createIdentities(["P2", "model", "data"], 1);
    const { transport, listener } = await listening("P2", identities.get("P2"));
    await dial(transportOf("model"), "P2", listener.address, identities.get("data"), 1000).catch(() => undefined);
    await callP2(listener, identities);
    expect([...transport.peers].sort()).toEqual(["data", "model"]);
  });

  it("and a second caller of a name is hung up on", async () => {
    const { transport, listener, port } = await listening("P2", undefined);
    await callP2(listener, undefined);
    const socket = connectPlain(port, "127.0.0.1", () => socket.write(`model   ${"0".repeat(32)}`));
    await hungUp(socket);
    expect([...transport.peers].sort()).toEqual(["data", "model"]);
  });
});

it("two certificates of one name are both taken, whichever was made first", async () => {
  for (let i = 0; i < 6; i++) {
    const [before, after] = await Promise.all([createIdentities(NAMES, 1), createIdentities(NAMES, 1)]);
    const pinned = Object.fromEntries(
      NAMES.map((name) => [name, [after, before].map((made) => made.get(name)!.certificate)]),
    );
    for (const made of [before, after]) {
      const as = (name: PeerName): Identity => ({ ...made.get(name)!, pinned });
      const { listener } = await listening("P2", as("P2"));
      for (const name of ["P0", "P1", "model", "data"] as const) {
        await dial(transportOf(name), "P2", listener.address, as(name), 2000);
      }
      await listener.complete;
    }
  }
});

/**
 * A network inside the test's process, on the test's clock, with what networks do drawn from a seed: bytes come late,
 * in other pieces, slowly or not at all; connections are cut, at any byte, for one end or both; what TLS would find
 * changed is a connection that breaks. It stands in for `node:tls`: a party or an owner that calls or listens is led
 * through here, and what it holds of certificates is looked at as TLS does.
 */
import { X509Certificate } from "node:crypto";
import { EventEmitter } from "node:events";
import { Duplex } from "node:stream";

/** Who takes part: a process, that is, which may end with all that it holds. */
interface Host {
  readonly sockets: Set<SimulatedSocket>;
  isUp: boolean;
}

interface TlsSide {
  readonly cert: string;
  readonly ca: readonly string[];
}

/** What is wrong with one direction of a connection, from a byte on. */
interface Fault {
  readonly kind: "none" | "cut" | "mute" | "stall" | "garble" | "lie";
  readonly from: number;
  readonly milliseconds: number;
}

const SOUND: Fault = { kind: "none", from: Number.POSITIVE_INFINITY, milliseconds: 0 };
/** What a sender may have under way, in bytes: what two sockets' buffers hold. */
const UNDER_WAY = 1 << 17;
/** Nobody who dials hears sooner that nobody listens, or that all is well; milliseconds. */
const LEAST_DELAY = 1;

const fingerprints = new Map<string, string>();
function fingerprintOf(certificate: string): string {
  const known = fingerprints.get(certificate) ?? new X509Certificate(certificate).fingerprint256;
  fingerprints.set(certificate, known);
  return known;
}

function errorOf(code: string): Error {
  return Object.assign(new Error(code), { code });
}

interface Piece {
  readonly bytes: Buffer | null;
  readonly taken: (error?: Error) => void;
}

/** One direction of a connection. */
class Pipe {
  private readonly held: Piece[] = [];
  private underWay = 0;
  private passed = 0;
  private isBusy = false;
  private isOver = false;
  private to: SimulatedSocket | undefined;

  constructor(
    private readonly network: SimulatedNetwork,
    private readonly fault: Fault,
    /** Milliseconds that a piece travels, and that a kilobyte takes. */
    private readonly delay: number,
    private readonly slowness: number,
  ) {}

  leadTo(to: SimulatedSocket): void {
    this.to = to;
    this.next();
  }

  push(bytes: Buffer | null, taken: Piece["taken"]): void {
    if (this.isOver) {
      taken(errorOf("EPIPE"));
      return;
    }
    const size = bytes?.length ?? 0;
    const isRoom = this.underWay < UNDER_WAY;
    this.underWay += size;
    this.held.push({ bytes, taken: isRoom ? () => undefined : taken });
    if (isRoom) {
      taken();
    }
    this.next();
  }

  /** The receiver has room again. */
  next(): void {
    const { to } = this;
    if (this.isBusy || this.isOver || to === undefined || !to.hasRoom || this.held.length === 0) {
      return;
    }
    const whole = this.held[0].bytes;
    const stalls = this.fault.kind === "stall" && this.isReached(whole?.length ?? 0) ? this.fault.milliseconds : 0;
    this.isBusy = true;
    const some = whole === null ? null : this.cut(whole);
    const wait = this.delay + this.slowness * ((some?.length ?? 0) / 1024) + stalls;
    setTimeout(() => this.arrive(some), wait);
  }

  /** Nothing comes out of it any more. */
  end(): void {
    this.isOver = true;
    this.held.splice(0).forEach(({ taken }) => void taken(errorOf("ECONNRESET")));
  }

  private isReached(more: number): boolean {
    return this.passed <= this.fault.from && this.fault.from < this.passed + Math.max(1, more);
  }

  /** The first of the bytes: as many as travel together, and none beyond the byte at which something is wrong. */
  private cut(whole: Buffer): Buffer {
    const { kind, from } = this.fault;
    const most = kind !== "none" && from > this.passed ? from - this.passed : whole.length;
    const length = Math.min(whole.length, most, 1 + this.network.pick(3 * whole.length));
    if (length < whole.length) {
      const { taken } = this.held[0];
      this.held.splice(0, 1, { bytes: whole.subarray(0, length), taken: () => undefined });
      this.held.splice(1, 0, { bytes: whole.subarray(length), taken });
    }
    return whole.subarray(0, length);
  }

  private arrive(some: Buffer | null): void {
    this.isBusy = false;
    const { to, fault } = this;
    if (this.isOver || to === undefined) {
      return;
    }
    const isWrong = ["cut", "mute", "garble"].includes(fault.kind) && this.passed >= fault.from;
    if (isWrong && fault.kind === "mute") {
      return;
    }
    if (isWrong && fault.kind === "cut") {
      to.breakBoth();
      return;
    }
    if (isWrong) {
      to.destroy(errorOf("ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC"));
      return;
    }
    const { taken } = this.held.shift()!;
    const before = this.passed;
    this.passed += some?.length ?? 0;
    this.underWay -= some?.length ?? 0;
    const isLie = fault.kind === "lie" && some !== null && before <= fault.from && fault.from < this.passed;
    to.hear(isLie ? this.network.changed(some) : some);
    taken();
    this.next();
  }
}

/** One end of a connection. */
export class SimulatedSocket extends Duplex {
  hasRoom = true;
  other: SimulatedSocket | undefined;
  private isWhole = false;

  constructor(
    readonly host: Host,
    private readonly out: Pipe,
    private readonly into: Pipe,
    public shown: string,
  ) {
    super({ allowHalfOpen: false });
    host.sockets.add(this);
    this.on("error", () => undefined);
  }

  begin(): void {
    this.into.leadTo(this);
  }

  getPeerX509Certificate(): { readonly fingerprint256: string } {
    return { fingerprint256: this.shown };
  }

  setNoDelay(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hear(bytes: Buffer | null): void {
    this.isWhole = bytes === null;
    if (this.destroyed) {
      // Who sends to a socket that is closed is refused.
      if (bytes !== null) {
        this.other?.destroy(errorOf("ECONNRESET"));
      }
      return;
    }
    this.hasRoom = this.push(bytes);
  }

  /** Its process ends. */
  vanish(isSilent: boolean): void {
    if (isSilent) {
      this.out.end();
      this.other = undefined;
    }
    this.destroy(errorOf("ECONNRESET"));
  }

  breakBoth(): void {
    this.other?.destroy(errorOf("ECONNRESET"));
    this.destroy(errorOf("ECONNRESET"));
  }

  override _read(): void {
    this.hasRoom = true;
    this.into.next();
  }

  override _write(bytes: Buffer, _: string, taken: (error?: Error) => void): void {
    this.out.push(Buffer.from(bytes), taken);
  }

  override _final(taken: (error?: Error) => void): void {
    this.out.push(null, taken);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.host.sockets.delete(this);
    if (this.readableLength > 0 && !this.isWhole) {
      this.out.end();
      this.other?.destroy(errorOf("ECONNRESET"));
    } else if (!this.writableEnded) {
      this.out.push(null, () => undefined);
    }
    this.hasRoom = true;
    this.into.next();
    done(error);
  }
}

/** What listens: `tls.Server`, as far as the house uses it. */
class SimulatedServer extends EventEmitter {
  private at = 0;

  constructor(
    private readonly network: SimulatedNetwork,
    private side: TlsSide,
    readonly meet: (socket: SimulatedSocket) => void,
  ) {
    super();
  }

  get tls(): TlsSide {
    return this.side;
  }

  setSecureContext(side: TlsSide): void {
    this.side = side;
  }

  listen({ port }: { readonly port: number }, done: () => void): this {
    this.at = this.network.listen(port, this);
    setImmediate(done);
    return this;
  }

  address(): { readonly port: number } {
    return { port: this.at };
  }

  close(): void {
    this.network.forget(this.at, this);
  }
}

export class SimulatedNetwork {
  private readonly servers = new Map<number, SimulatedServer>();
  private readonly hosts = new Map<string, Host>();
  private random: (() => number) | undefined;
  private isCalm = false;
  private liar: string | undefined;
  private ports = 1000;

  /**
   * From now on things go wrong as these numbers say, or are late only, and what the `liar` says
   * is changed before it is encrypted, somewhere on each connection; undefined: all is well, and fast.
   */
  plan(random: (() => number) | undefined, isCalm = false, liar?: string): void {
    this.random = random;
    this.isCalm = isCalm;
    this.liar = liar === undefined ? undefined : fingerprintOf(liar);
  }

  /** A whole number below `count`; 0 while nothing goes wrong, or `count` - 1 of one. */
  pick(count: number): number {
    return Math.floor((this.random?.() ?? 0.999) * count);
  }

  /** Bytes as somebody sends them who keeps to no protocol. */
  changed(bytes: Buffer): Buffer {
    const at = this.pick(bytes.length);
    const some = Buffer.from(
      Array.from({ length: 1 + this.pick(9) }, () => [0, 1, 34, 57, 127, 128, 255][this.pick(7)]),
    );
    const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
    switch (this.pick(5)) {
      case 0:
        return Buffer.concat([head, some, tail]);
      case 1:
        return Buffer.concat([head, tail.subarray(some.length)]);
      case 2:
        return Buffer.concat([head, tail, tail]);
      case 3:
        return Buffer.concat([head, some, tail.subarray(some.length)]);
      default:
        return Buffer.concat([head, Buffer.of(tail[0] ^ (1 << this.pick(8))), tail.subarray(1)]);
    }
  }

  /** Ends a process: what it holds is closed by its system, or its machine is gone without a word. */
  stop(certificate: string, isSilent: boolean): void {
    const host = this.hostOf(certificate);
    host.isUp = false;
    for (const socket of [...host.sockets]) {
      socket.vanish(isSilent);
    }
    for (const [port, server] of this.servers) {
      if (server.tls.cert === certificate) {
        this.servers.delete(port);
      }
    }
  }

  /** Breaks what there is: nothing of one seed is there in the next one. */
  forgetAll(): void {
    for (const { sockets } of this.hosts.values()) {
      [...sockets].forEach((socket) => void socket.vanish(false));
    }
    this.servers.clear();
    this.hosts.clear();
  }

  /** How many ends of connections are open. */
  get open(): number {
    return [...this.hosts.values()].reduce((sum, { sockets }) => sum + sockets.size, 0);
  }

  listen(wanted: number, server: SimulatedServer): number {
    const port = wanted === 0 ? this.ports++ : wanted;
    this.servers.set(port, server);
    return port;
  }

  forget(port: number, server: SimulatedServer): void {
    if (this.servers.get(port) === server) {
      this.servers.delete(port);
    }
  }

  /** `tls.createServer`. */
  readonly createServer = (options: TlsSide, meet: (socket: SimulatedSocket) => void): SimulatedServer =>
    new SimulatedServer(this, options, meet);

  /** `tls.connect`. */
  readonly connect = (
    { port, secureContext: options }: { readonly port: number; readonly secureContext: TlsSide },
    arrived: () => void,
  ): SimulatedSocket => {
    const called = this.servers.get(port)?.tls.cert;
    const [there, back] = [this.pipe(options.cert), this.pipe(called)];
    const caller = this.hostOf(options.cert);
    const near = new SimulatedSocket(caller, there, back, "");
    const isLost = this.random !== undefined && !this.isCalm && this.pick(30) === 0;
    const takes = LEAST_DELAY + (this.random === undefined ? 0 : this.pick(40));
    setTimeout(() => {
      const server = this.servers.get(port);
      if (near.destroyed || isLost) {
        return;
      }
      if (server === undefined || !caller.isUp) {
        near.destroy(errorOf("ECONNREFUSED"));
        return;
      }
      const names = options.ca.map(fingerprintOf);
      if (!names.includes(fingerprintOf(server.tls.cert))) {
        near.destroy(errorOf("DEPTH_ZERO_SELF_SIGNED_CERT"));
        return;
      }
      const far = new SimulatedSocket(this.hostOf(server.tls.cert), back, there, fingerprintOf(options.cert));
      near.shown = fingerprintOf(server.tls.cert);
      near.other = far;
      far.other = near;
      near.begin();
      far.begin();
      arrived();
      if (server.tls.ca.map(fingerprintOf).includes(fingerprintOf(options.cert))) {
        server.meet(far);
      } else {
        server.emit("tlsClientError");
        far.destroy();
      }
    }, takes);
    return near;
  };

  /** A direction in which `from` sends. */
  private pipe(from: string | undefined): Pipe {
    if (this.random === undefined) {
      return new Pipe(this, SOUND, 0, 0);
    }
    const delay = [0, 1, 1, 5, 40][this.pick(5)];
    const slowness = this.pick(12) === 0 ? 50 : 0;
    if (from !== undefined && this.liar === fingerprintOf(from)) {
      return new Pipe(this, { kind: "lie", from: 2 ** this.pick(12) + this.pick(60) - 1, milliseconds: 0 }, delay, 0);
    }
    if (this.isCalm || this.pick(10) < 8) {
      return new Pipe(this, SOUND, delay, slowness);
    }
    const kind = (["cut", "mute", "stall", "garble"] as const)[this.pick(4)];
    // Most of a session is short, and its beginning as interesting as all the rest.
    const fault = { kind, from: 2 ** this.pick(13) + this.pick(100) - 1, milliseconds: 2 ** this.pick(13) };
    return new Pipe(this, fault, delay, slowness);
  }

  private hostOf(certificate: string): Host {
    const host = this.hosts.get(certificate) ?? { sockets: new Set(), isUp: true };
    this.hosts.set(certificate, host);
    return host;
  }
}

/** The network of all. */
export const network = new SimulatedNetwork();

/** What stands in for the module `node:tls`. */
export const tls = {
  createServer: network.createServer,
  connect: network.connect,
  createSecureContext: (side: TlsSide) => side,
  Server: SimulatedServer,
  TLSSocket: SimulatedSocket,
};

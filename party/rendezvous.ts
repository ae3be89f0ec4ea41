/**
 * Where sessions find their peers: the other parties call about a session by its id, perhaps before this party has
 * heard of it. Who comes early waits a while, and so do only so many.
 */
import type { Caller } from "../runtime/connect.js";
import type { PartyName } from "../runtime/transport.js";
import { within } from "./within.js";

const MOST_EARLY = 1024;

interface Expected {
  readonly attach: (caller: Caller) => void;
  readonly missing: Set<string>;
  readonly done: () => void;
}

export class Rendezvous {
  private readonly early = new Map<string, { readonly caller: Caller; readonly timer: NodeJS.Timeout }>();
  private readonly expected = new Map<string, Expected>();

  /** `patience`: milliseconds that early callers, and sessions, wait. */
  constructor(private readonly patience: number) {}

  /** A party has called. Throws where it is not expected, or too many wait. */
  arrive(caller: Caller): void {
    const session = this.expected.get(caller.id);
    if (session !== undefined) {
      this.join(session, caller);
      return;
    }
    const key = `${caller.id} ${caller.role}`;
    if (this.early.size >= MOST_EARLY || this.early.has(key)) {
      throw new Error("a caller is not expected");
    }
    const forget = (): void => {
      this.early.delete(key);
      caller.socket.destroy();
    };
    this.early.set(key, { caller, timer: setTimeout(forget, this.patience).unref() });
  }

  /** Resolves when these parties have called about the session; E0602 names who has not. */
  async meet(id: string, roles: readonly PartyName[], attach: (caller: Caller) => void): Promise<void> {
    let done: () => void = () => undefined;
    const all = new Promise<void>((resolve) => {
      done = resolve;
    });
    const session: Expected = { attach, missing: new Set(roles), done };
    this.expected.set(id, session);
    try {
      for (const role of roles) {
        const key = `${id} ${role}`;
        const early = this.early.get(key);
        if (early !== undefined) {
          clearTimeout(early.timer);
          this.early.delete(key);
          this.join(session, early.caller);
        }
      }
      if (session.missing.size > 0) {
        await within(all, this.patience, () => [...session.missing][0], "its call");
      }
    } finally {
      this.expected.delete(id);
    }
  }

  /** Hangs up on all who wait. */
  close(): void {
    for (const { caller, timer } of this.early.values()) {
      clearTimeout(timer);
      caller.socket.destroy();
    }
    this.early.clear();
  }

  private join({ missing, attach, done }: Expected, caller: Caller): void {
    if (!missing.delete(caller.role)) {
      throw new Error("a caller is not expected");
    }
    attach(caller);
    if (missing.size === 0) {
      done();
    }
  }
}

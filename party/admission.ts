/**
 * How many sessions a party has at a time: so many, and so much memory in all. Who does not fit waits in order, with
 * its place; when the queue is full, or the party is being stopped, it is refused.
 */
import { fail } from "../ir/diagnostics.js";

export interface Bounds {
  readonly sessions: number;
  /** Bytes in all. */
  readonly memory: number;
  readonly queue: number;
}

interface Waiting {
  readonly need: number;
  readonly onPlace: (place: number) => void;
  readonly admit: () => void;
  readonly refuse: (error: unknown) => void;
}

export class Admission {
  private sessions = 0;
  private memory = 0;
  private readonly queue: Waiting[] = [];
  private closed = false;
  private idle: (() => void)[] = [];
  /** Seconds that sessions have taken, lately. */
  private typical = 1;

  constructor(private readonly bounds: Bounds) {}

  get running(): number {
    return this.sessions;
  }

  get waiting(): number {
    return this.queue.length;
  }

  /** Whether one more could wait. */
  get isFull(): boolean {
    return this.closed || this.queue.length >= this.bounds.queue;
  }

  /** After how many seconds it is worth to ask again. */
  get seconds(): number {
    return Math.ceil((this.typical * (this.queue.length + 1)) / Math.max(1, this.bounds.sessions));
  }

  /**
   * Waits until a session with this need of memory (bytes) may run; gives what ends it. Rejects with E1002 where there
   * is no room to wait, and with the signal's reason when who waits is gone.
   */
  async enter(need: number, onPlace: (place: number) => void, signal: AbortSignal): Promise<() => void> {
    if (need > this.bounds.memory) {
      const why = `it needs about ${Math.ceil(need / 1e6)} MB, and sessions may take ${this.bounds.memory / 1e6} MB`;
      throw fail({ code: "E1001", what: "a session of this plan is too large here", why, fix: "raise --memory" });
    }
    if (this.closed || (!this.fits(need) && this.isFull)) {
      throw fail({ code: "E1002", what: "the party is busy", fix: `ask again in ${this.seconds} s` });
    }
    if (this.queue.length > 0 || !this.fits(need)) {
      await this.wait(need, onPlace, signal);
    } else {
      this.take(need);
    }
    const began = performance.now();
    let isOver = false;
    return () => {
      if (!isOver) {
        isOver = true;
        this.typical = 0.8 * this.typical + 0.2 * ((performance.now() - began) / 1000);
        this.sessions--;
        this.memory -= need;
        this.next();
      }
    };
  }

  /** Refuses who waits and who comes; resolves when the last session is over. */
  async drain(): Promise<void> {
    this.closed = true;
    for (const { refuse } of this.queue.splice(0)) {
      refuse(fail({ code: "E1002", what: "the party is being stopped" }));
    }
    if (this.sessions > 0) {
      await new Promise<void>((resolve) => this.idle.push(resolve));
    }
  }

  private fits(need: number): boolean {
    return this.sessions < this.bounds.sessions && this.memory + need <= this.bounds.memory;
  }

  private take(need: number): void {
    this.sessions++;
    this.memory += need;
  }

  private wait(need: number, onPlace: (place: number) => void, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.queue.splice(this.queue.indexOf(waiting), 1);
        reject(signal.reason);
        this.next();
      };
      const settle = (): void => signal.removeEventListener("abort", leave);
      const waiting: Waiting = {
        need,
        onPlace,
        admit: () => {
          settle();
          this.take(need);
          resolve();
        },
        refuse: (error) => {
          settle();
          reject(error);
        },
      };
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      signal.addEventListener("abort", leave);
      this.queue.push(waiting);
      onPlace(this.queue.length);
    });
  }

  private next(): void {
    while (this.queue.length > 0 && this.fits(this.queue[0].need)) {
      this.queue.shift()!.admit();
    }
    this.queue.forEach(({ onPlace }, i) => void onPlace(i + 1));
    if (this.sessions === 0) {
      this.idle.splice(0).forEach((resolve) => void resolve());
    }
  }
}

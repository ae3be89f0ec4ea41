/**
 * Who waits for the parties: so many questions at a time, so many more that wait, and the next one is told when to come
 * again, by how long questions took so far. Callers take turns: who asks much waits for others, not they for him.
 */
import { ByCaller } from "./by-caller.js";
import { ApiError } from "./errors.js";

export interface TurnLimits {
  readonly atOnce: number;
  readonly waiting: number;
}

/** Without a question that has ended, the guess of how long one takes, in seconds. */
const GUESS = 5;

export class Turns {
  private running = 0;
  private readonly waiters = new ByCaller<() => void>();
  /** Seconds of a question, a moving average. */
  private usual = GUESS;

  constructor(private readonly limits: TurnLimits) {}

  get waiting(): number {
    return this.waiters.size;
  }

  /**
   * Resolves when it is this question's turn, with what must be called at its end. Rejects with 429 where no more may
   * wait, and with the signal's reason.
   */
  async enter(signal: AbortSignal, caller = ""): Promise<() => void> {
    signal.throwIfAborted();
    if (this.running >= this.limits.atOnce) {
      // Whoever ends gives its place to who waits: nobody who comes now is before him.
      await this.wait(signal, caller);
    } else {
      this.running++;
    }
    const began = performance.now();
    let isOver = false;
    return () => {
      if (!isOver) {
        isOver = true;
        this.usual += ((performance.now() - began) / 1000 - this.usual) / 4;
        this.next();
      }
    };
  }

  private next(): void {
    const admit = this.waiters.shift();
    if (admit === undefined) {
      this.running--;
    } else {
      admit();
    }
  }

  private wait(signal: AbortSignal, caller: string): Promise<void> {
    const { waiting } = this;
    if (waiting >= this.limits.waiting) {
      const seconds = Math.max(1, Math.ceil((this.usual * (waiting + 1)) / this.limits.atOnce));
      throw new ApiError(429, `${waiting} questions wait already; ask again in ${seconds} s`, {
        ...{ type: "rate_limit_error", code: "queue_full", retryAfter: seconds },
      });
    }
    return new Promise((resolve, reject) => {
      const next = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.waiters.remove(caller, next);
        reject(signal.reason);
      };
      this.waiters.push(caller, next);
      signal.addEventListener("abort", leave, { once: true });
    });
  }
}

/**
 * Who waits for the parties: so many questions at a time, so many more that wait, and the next one is told when to come
 * again, by how long questions took so far.
 */
import { ApiError } from "./errors.js";

export interface TurnLimits {
  readonly atOnce: number;
  readonly waiting: number;
}

/** Without a question that has ended, the guess of how long one takes, in seconds. */
const GUESS = 5;

export class Turns {
  private running = 0;
  private readonly waiters: (() => void)[] = [];
  /** Seconds of a question, a moving average. */
  private usual = GUESS;

  constructor(private readonly limits: TurnLimits) {}

  get waiting(): number {
    return this.waiters.length;
  }

  /**
   * Resolves when it is this question's turn, with what must be called at its end. Rejects with 429 where no more may
   * wait, and with the signal's reason.
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.running >= this.limits.atOnce) {
      await this.wait(signal);
    }
    this.running++;
    const began = performance.now();
    let isOver = false;
    return () => {
      if (!isOver) {
        isOver = true;
        this.running--;
        this.usual += ((performance.now() - began) / 1000 - this.usual) / 4;
        this.waiters.shift()?.();
      }
    };
  }

  private wait(signal: AbortSignal): Promise<void> {
    if (this.waiters.length >= this.limits.waiting) {
      const seconds = Math.max(1, Math.ceil((this.usual * (this.waiters.length + 1)) / this.limits.atOnce));
      throw new ApiError(429, `${this.waiters.length} questions wait already; ask again in ${seconds} s`, {
        ...{ type: "rate_limit_error", code: "queue_full", retryAfter: seconds },
      });
    }
    return new Promise((resolve, reject) => {
      const next = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.waiters.splice(this.waiters.indexOf(next), 1);
        reject(signal.reason);
      };
      this.waiters.push(next);
      signal.addEventListener("abort", leave, { once: true });
    });
  }
}

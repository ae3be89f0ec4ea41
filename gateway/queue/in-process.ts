/** The queue within one process: what a gateway or a batch on one machine has unless it is given another. */
import { fail } from "../../ir/diagnostics.js";
import type { Claim, Queue, QueueOptions } from "./queue.js";

interface Request {
  readonly id: string;
  delivery: number;
  /** What ends the claim, or the pause after a refusal. */
  timer: NodeJS.Timeout | undefined;
}

export class InProcessQueue implements Queue {
  /** By id, in the order in which they came. */
  private readonly requests = new Map<string, Request>();
  private readonly free: Request[] = [];
  private readonly claimants: ((request: Request | undefined) => void)[] = [];

  constructor(private readonly options: QueueOptions) {}

  async put(id: string): Promise<boolean> {
    if (this.requests.has(id)) {
      return false;
    }
    if (this.requests.size >= this.options.capacity) {
      throw fail({ code: "E1002", what: `the queue is full: ${this.requests.size} requests wait` });
    }
    const request: Request = { id, delivery: 0, timer: undefined };
    this.requests.set(id, request);
    this.offer(request);
    return true;
  }

  async claim(signal: AbortSignal): Promise<Claim | undefined> {
    if (signal.aborted) {
      return undefined;
    }
    const request = this.free.shift() ?? (await this.wait(signal));
    return request && this.claimOf(request);
  }

  async depth(): Promise<number> {
    return this.requests.size;
  }

  async close(): Promise<void> {
    for (const { timer } of this.requests.values()) {
      clearTimeout(timer);
    }
    this.requests.clear();
    this.free.length = 0;
    this.claimants.splice(0).forEach((give) => void give(undefined));
  }

  private wait(signal: AbortSignal): Promise<Request | undefined> {
    return new Promise((resolve) => {
      const leave = (): void => {
        this.claimants.splice(this.claimants.indexOf(give), 1);
        resolve(undefined);
      };
      const give = (request: Request | undefined): void => {
        signal.removeEventListener("abort", leave);
        resolve(request);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.claimants.push(give);
    });
  }

  /** Gives a request to who waits, or keeps it in its place among those that are free: the oldest goes first. */
  private offer(request: Request): void {
    const claimant = this.claimants.shift();
    if (claimant !== undefined) {
      claimant(request);
      return;
    }
    const order = [...this.requests.keys()];
    this.free.push(request);
    if (request.delivery > 0) {
      this.free.sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
    }
  }

  private claimOf(request: Request): Claim {
    const delivery = ++request.delivery;
    const isMine = (): boolean => this.requests.get(request.id) === request && request.delivery === delivery;
    const after = (milliseconds: number): void => {
      clearTimeout(request.timer);
      request.timer = setTimeout(() => this.offer(request), milliseconds).unref();
    };
    after(this.options.lease);
    let isOpen = true;
    return {
      id: request.id,
      delivery,
      extend: async () => {
        if (isOpen && isMine()) {
          after(this.options.lease);
        }
      },
      acknowledge: async () => {
        isOpen = false;
        // A late answer is an answer: whoever was given the request meanwhile has nothing left to do.
        if (this.requests.get(request.id) === request) {
          clearTimeout(request.timer);
          this.requests.delete(request.id);
          const at = this.free.indexOf(request);
          if (at >= 0) {
            this.free.splice(at, 1);
          }
        }
      },
      refuse: async (pause = 0) => {
        if (isOpen && isMine()) {
          isOpen = false;
          after(pause);
        }
      },
    };
  }
}

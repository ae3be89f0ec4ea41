/**
 * Lanes behind a queue. A lane is one trio of parties with the same models, and answers one piece of work at a time; so
 * capacity is the number of lanes. Work waits here, by caller, and goes into the queue in turns, a few pieces ahead of
 * the lanes: who asks much delays the others by one piece, not by all of his. Each lane claims, asks, acknowledges.
 *
 * A lane that fails (a party is killed, the network is cut) gives the work back to the others and rests a while; the
 * work is asked again as a new session with new keys, and its first answer is its only one. What is wrong with the work
 * itself is told its caller, and with a lane that never can, its operator.
 */
import { randomBytes } from "node:crypto";
import { CATALOGUE, type DiagnosticCode } from "../ir/catalogue.js";
import { fail, PumacError } from "../ir/diagnostics.js";
import { ByCaller } from "./by-caller.js";
import type { Claim, Queue } from "./queue/queue.js";

export interface Lane<Work, Answer> {
  readonly name: string;
  /** Answers one piece of work, as a new session each time. */
  readonly ask: (work: Work) => Promise<Answer>;
}

export interface LanesOptions<Work, Answer> {
  readonly lanes: readonly Lane<Work, Answer>[];
  readonly queue: Queue;
  /** How long a claim of the queue lasts, in milliseconds. */
  readonly lease: number;
  /** When no lane has answered for so many milliseconds, nothing is waited for any more. */
  readonly patience: number;
  /**
   * Whether lanes are tried for ever: who waits when none has answered for that long hears why, and the next one may be
   * luckier. A batch ends then, a server stays.
   */
  readonly isForEver?: boolean;
  /** The most pieces of work that wait or are worked on. */
  readonly capacity: number;
  /** How long a lane rests after its first failure, in milliseconds; the next time twice as long. */
  readonly rest?: number;
  /** Hears, in words, that a lane failed, and whether it is given up. */
  readonly onTrouble?: (said: string) => void;
}

interface Job<Work, Answer> {
  readonly id: string;
  readonly work: Work;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
  /** How often a lane failed over it, and what had been answered when it first did. */
  failures: number;
  answeredBefore: number;
}

/** How one lane does. */
interface Health {
  answered: number;
  /** Failures one after the other, since when, and the last one. */
  troubles: number;
  since: number;
  error: unknown;
  isOut: boolean;
}

/** Pieces in the queue beyond those that lanes work on, for each lane: none waits for its next one. */
const AHEAD = 1;
/** Work over which lanes failed so often, while they answered other work, is what ends them. */
const MOST_FAILURES = 6;
/** How long a lane rests after its first failure, and work over which lanes failed twice, and at most. */
const FIRST_REST = 250;
const LONGEST_REST = 15_000;
/** What a lane that has never answered will not get over by itself. */
const LASTING: readonly DiagnosticCode[] = ["E0701", "E0801", "E0802", "E0803", "E1001", "E1003"];

export class Lanes<Work, Answer> {
  private readonly waiting = new ByCaller<Job<Work, Answer>>();
  private readonly queued = new Map<string, Job<Work, Answer>>();
  private readonly health: readonly Health[];
  private readonly stop = new AbortController();
  private readonly serving: readonly Promise<void>[];
  private readonly run = randomBytes(8).toString("hex");
  private count = 0;
  private answered = 0;
  private given: unknown;
  /** Seconds that a piece of work takes, lately. */
  private typical = 1;

  constructor(private readonly options: LanesOptions<Work, Answer>) {
    this.health = options.lanes.map(() => ({ answered: 0, troubles: 0, since: 0, error: undefined, isOut: false }));
    this.serving = options.lanes.map((lane, i) =>
      this.serve(lane, this.health[i]).catch((error: unknown) => this.giveUp(error)),
    );
  }

  /** Why no lane works any more; undefined while one does. */
  get failure(): unknown {
    return this.given;
  }

  /** Pieces of work that wait or are worked on. */
  get depth(): number {
    return this.waiting.size + this.queued.size;
  }

  /** After how many seconds it is worth to ask again, where there is no room now. */
  get seconds(): number {
    const working = this.health.filter(({ isOut }) => !isOut).length;
    return Math.ceil((this.typical * (this.depth + 1)) / Math.max(1, working));
  }

  /**
   * The answer to a piece of work. E1002 where there is no room; what is wrong with the work; or, when all lanes are
   * given up, why (`failure`).
   */
  submit(work: Work, caller = ""): Promise<Answer> {
    if (this.given !== undefined) {
      return Promise.reject(this.given);
    }
    if (this.depth >= this.options.capacity) {
      const fix = `ask again in ${this.seconds} s`;
      return Promise.reject(fail({ code: "E1002", what: `${this.depth} requests wait already`, fix }));
    }
    return new Promise((resolve, reject) => {
      const id = `${this.run}-${this.count++}`;
      const job = { id, work, resolve, reject, failures: 0, answeredBefore: 0 };
      this.waiting.push(caller, job);
      this.fill();
    });
  }

  /** Lets the lanes finish what they work on, and begin nothing more. */
  async close(): Promise<void> {
    this.stop.abort();
    await Promise.all(this.serving);
    this.rejectAll(fail({ code: "E1002", what: "the lanes are being stopped" }));
  }

  /** Puts work into the queue, callers in turns, until there is a little more than the lanes can take. */
  private fill(): void {
    const most = this.options.lanes.length * (1 + AHEAD);
    while (this.queued.size < most) {
      const job = this.waiting.shift();
      if (job === undefined) {
        return;
      }
      this.queued.set(job.id, job);
      this.put(job.id).catch((error: unknown) => this.giveUp(error));
    }
  }

  /**
   * Puts a piece of work into the queue. A server that was killed may have forgotten what it heard last, and offers
   * again what is answered: its queue may be full for as long as the lanes take to tell it so.
   */
  private async put(id: string): Promise<void> {
    const { queue, patience, rest: first = FIRST_REST } = this.options;
    for (const end = performance.now() + patience; ; ) {
      try {
        await queue.put(id);
        return;
      } catch (error) {
        const isFull = error instanceof PumacError && error.diagnostics[0].code === "E1002";
        if (!isFull || this.stop.signal.aborted || performance.now() > end) {
          throw error;
        }
      }
      await rest(first, this.stop.signal);
    }
  }

  private async serve(lane: Lane<Work, Answer>, health: Health): Promise<void> {
    const { signal } = this.stop;
    while (!health.isOut) {
      const claim = await this.options.queue.claim(signal);
      if (claim === undefined) {
        return;
      }
      const job = this.queued.get(claim.id);
      if (job === undefined) {
        // Answered already, or asked by a process that is gone: nobody waits for it.
        await claim.acknowledge();
        continue;
      }
      await this.work(lane, health, claim, job);
      if (health.troubles > 0 && !health.isOut) {
        await rest(this.restAfter(health.troubles), signal);
      }
    }
  }

  private async work(lane: Lane<Work, Answer>, health: Health, claim: Claim, job: Job<Work, Answer>): Promise<void> {
    const beat = setInterval(() => void claim.extend().catch(() => undefined), this.options.lease / 3).unref();
    const began = performance.now();
    try {
      const answer = await lane.ask(job.work);
      this.typical = 0.8 * this.typical + (0.2 * (performance.now() - began)) / 1000;
      this.answered++;
      Object.assign(health, { answered: health.answered + 1, troubles: 0 });
      await this.settle(claim, job, () => job.resolve(answer));
    } catch (error) {
      if (isOfTheWork(error)) {
        health.troubles = 0;
        await this.settle(claim, job, () => job.reject(error));
      } else {
        await this.trouble(lane, health, claim, job, error);
      }
    } finally {
      clearInterval(beat);
    }
  }

  /** The first to settle a job does; the claim is over only when its caller has been told. */
  private async settle(claim: Claim, job: Job<Work, Answer>, tell: () => void): Promise<void> {
    if (this.queued.delete(job.id)) {
      tell();
    }
    await claim.acknowledge();
    this.fill();
  }

  private async trouble(
    { name }: Lane<Work, Answer>,
    health: Health,
    claim: Claim,
    job: Job<Work, Answer>,
    error: unknown,
  ): Promise<void> {
    const now = performance.now();
    health.since = health.troubles === 0 ? now : health.since;
    health.troubles++;
    health.error = error;
    const { isForEver = false, patience } = this.options;
    health.isOut = !isForEver && health.answered === 0 && isLasting(error);
    const why = error instanceof PumacError ? error.diagnostics[0].what : String(error);
    this.options.onTrouble?.(`${name} ${health.isOut ? "is given up" : "rests a while"}: ${why}`);
    job.answeredBefore = job.failures === 0 ? this.answered : job.answeredBefore;
    job.failures++;
    if (job.failures >= MOST_FAILURES && this.answered > job.answeredBefore) {
      await this.settle(claim, job, () => job.reject(error));
    } else {
      // At first another lane is to have it at once; then perhaps it is the work, and other work goes first.
      await claim.refuse(this.restAfter(job.failures - 1));
    }
    const isGone = ({ isOut, troubles, since }: Health): boolean => isOut || (troubles > 0 && now - since > patience);
    if (this.health.every(isGone)) {
      (isForEver ? this.rejectAll : this.giveUp).call(this, error);
    }
  }

  /** In milliseconds, after so many failures. */
  private restAfter(failures: number): number {
    const first = this.options.rest ?? FIRST_REST;
    return failures === 0 ? 0 : Math.min(LONGEST_REST, first * 2 ** (failures - 1));
  }

  private giveUp(error: unknown): void {
    this.given ??= error;
    this.stop.abort();
    this.rejectAll(this.given);
  }

  private rejectAll(error: unknown): void {
    const jobs = [...this.queued.values(), ...this.waiting.clear()];
    this.queued.clear();
    jobs.forEach(({ reject }) => void reject(error));
  }
}

/** Usage, files, gates: whichever lane is asked would say the same. A mistake of ours is nobody's to try again. */
function isOfTheWork(error: unknown): boolean {
  return !(error instanceof PumacError) || CATALOGUE[error.diagnostics[0].code].exit < 6;
}

function isLasting(error: unknown): boolean {
  return error instanceof PumacError && LASTING.includes(error.diagnostics[0].code);
}

function rest(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { once: true });
  });
}

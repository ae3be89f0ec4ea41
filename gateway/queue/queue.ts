/**
 * A queue of requests between those who ask and the lanes that answer: claim, extend, acknowledge, refuse, depth.
 * Whoever claims a request has it for a lease, which it extends while it works; what is not acknowledged by then is
 * claimed by somebody else, as another delivery. So a request is worked on at least once, and whoever takes its answer
 * takes the first one only (`gateway/lanes.ts`).
 *
 * A request in a queue is a handle, no content: the process that holds a caller's connection, or a row of a file, is
 * the only one that has a use for the answer, so it keeps the prompt to itself, and nothing of it lies at rest.
 */

/** A request that somebody works on. */
export interface Claim {
  /** The handle, as it was put. */
  readonly id: string;
  /** How many times it was claimed, this time counted. */
  readonly delivery: number;
  /** Work goes on: the lease begins anew. */
  extend(): Promise<void>;
  /** Done: nobody is given it again. */
  acknowledge(): Promise<void>;
  /** Not done: somebody else is to claim it, after so many milliseconds. */
  refuse(after?: number): Promise<void>;
}

export interface Queue {
  /**
   * Puts a request; false where its id is in the queue, or was put a short while ago: an id is asked once. E1002 where
   * the queue is full.
   */
  put(id: string): Promise<boolean>;
  /** The oldest request that nobody has, as soon as there is one; undefined when the signal is aborted. */
  claim(signal: AbortSignal): Promise<Claim | undefined>;
  /** Requests that are not acknowledged, claimed ones among them. */
  depth(): Promise<number>;
  /** Lets go of what the queue holds open; requests stay where the queue outlives this process. */
  close(): Promise<void>;
}

export interface QueueOptions {
  /** How long a claim lasts that is not extended, in milliseconds. */
  readonly lease: number;
  /** The most requests that are not acknowledged. */
  readonly capacity: number;
}

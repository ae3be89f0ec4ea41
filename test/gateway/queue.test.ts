/**
 * Protects: whatever queue lies between those who ask and the lanes, a request is worked on by one at a time, until it
 * is acknowledged, and is asked once. The same tests hold every queue; those of the server are skipped without one.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type NatsServer, startNats, WITHOUT_NATS } from "../../bench/nats.js";
import { InProcessQueue } from "../../gateway/queue/in-process.js";
import { openJetStream } from "../../gateway/queue/jetstream.js";
import type { Claim, Queue, QueueOptions } from "../../gateway/queue/queue.js";

const LEASE = 500;
const NEVER = new AbortController().signal;
/** Longer than a lease, and than a queue takes to see that it is over. */
const TOO_LONG = 2.5 * LEASE;

let nats: NatsServer | undefined;
let queues = 0;
beforeAll(async () => {
  nats = WITHOUT_NATS === undefined ? await startNats() : undefined;
});
afterAll(() => nats?.stop());

const openers = {
  "in this process": async (options: QueueOptions) => new InProcessQueue(options),
  "of JetStream": (options: QueueOptions) => openJetStream({ ...options, server: nats!.url, name: `test-${queues++}` }),
} satisfies Record<string, (options: QueueOptions) => Promise<Queue>>;

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** What can be claimed within some time. */
async function claimed(queue: Queue, within = TOO_LONG): Promise<Claim | undefined> {
  return queue.claim(AbortSignal.timeout(within));
}

describe.each(Object.entries(openers))("a queue %s", (name, open) => {
  const isHere = name === "in this process" || WITHOUT_NATS === undefined;
  const test = isHere ? it.concurrent : it.skip;
  async function withQueue(work: (queue: Queue) => Promise<void>, capacity = 100): Promise<void> {
    const queue = await open({ lease: LEASE, capacity });
    await work(queue).finally(() => queue.close());
  }

  test("gives requests in order, each to one, until it is acknowledged", () =>
    withQueue(async (queue) => {
      for (const id of ["a", "b", "c"]) {
        expect(await queue.put(id)).toBe(true);
      }
      expect(await queue.depth()).toBe(3);
      const first = await queue.claim(NEVER);
      expect(first).toMatchObject({ id: "a", delivery: 1 });
      const [second, third] = [await queue.claim(NEVER), await queue.claim(NEVER)];
      expect([second!.id, third!.id]).toEqual(["b", "c"]);
      for (const claim of [first, second, third]) {
        await claim!.acknowledge();
      }
      expect(await queue.depth()).toBe(0);
      expect(await claimed(queue)).toBeUndefined();
    }));

  test("gives a request to who waits for it", () =>
    withQueue(async (queue) => {
      const waiting = [queue.claim(NEVER), queue.claim(NEVER)];
      await queue.put("a");
      await queue.put("b");
      const ids = (await Promise.all(waiting)).map((claim) => claim!.id);
      expect(ids.toSorted()).toEqual(["a", "b"]);
    }));

  test("gives every request of many to one of many", () =>
    withQueue(async (queue) => {
      const ids = Array.from({ length: 60 }, (_, i) => `request-${i}`);
      const done: string[] = [];
      const stop = new AbortController();
      const workers = Array.from({ length: 4 }, async () => {
        for (let claim = await queue.claim(stop.signal); claim !== undefined; claim = await queue.claim(stop.signal)) {
          done.push(claim.id);
          await claim.acknowledge();
          if (done.length === ids.length) {
            stop.abort();
          }
        }
      });
      await Promise.all(ids.map((id) => queue.put(id)));
      await Promise.all(workers);
      expect(done.toSorted()).toEqual(ids.toSorted());
      expect(await queue.depth()).toBe(0);
    }));

  test("takes an id once", () =>
    withQueue(async (queue) => {
      expect(await queue.put("a")).toBe(true);
      expect(await queue.put("a")).toBe(false);
      expect(await queue.depth()).toBe(1);
      await queue.claim(NEVER);
      expect(await queue.put("a")).toBe(false);
    }));

  test("refuses more than it holds, and takes again when there is room", () =>
    withQueue(async (queue) => {
      await queue.put("a");
      await queue.put("b");
      await expect(queue.put("c")).rejects.toThrow(/E1002/);
      await (await queue.claim(NEVER))!.acknowledge();
      expect(await queue.put("c")).toBe(true);
    }, 2));

  test("gives what was not acknowledged within the lease to another one", () =>
    withQueue(async (queue) => {
      await queue.put("a");
      const lost = await queue.claim(NEVER);
      const again = await queue.claim(NEVER);
      expect(again).toMatchObject({ id: "a", delivery: 2 });
      await lost!.refuse();
      await again!.acknowledge();
      await lost!.acknowledge();
      expect(await queue.depth()).toBe(0);
      expect(await claimed(queue)).toBeUndefined();
    }));

  test("leaves a claim that is extended", () =>
    withQueue(async (queue) => {
      await queue.put("a");
      const claim = await queue.claim(NEVER);
      const other = claimed(queue, 2.5 * LEASE);
      for (let i = 0; i < 10; i++) {
        await pause(LEASE / 4);
        await claim!.extend();
      }
      expect(await other).toBeUndefined();
      await claim!.acknowledge();
      expect(await queue.depth()).toBe(0);
    }));

  test("gives what is refused to another one, at once or later", () =>
    withQueue(async (queue) => {
      await queue.put("a");
      await (await queue.claim(NEVER))!.refuse();
      const again = await claimed(queue, LEASE / 2);
      expect(again).toMatchObject({ id: "a", delivery: 2 });
      await again!.refuse(2 * LEASE);
      expect(await claimed(queue, LEASE)).toBeUndefined();
      // Where a pull was on its way when its claimant left, what it brings is refused once more.
      expect((await claimed(queue, 6 * LEASE))!.delivery).toBeGreaterThanOrEqual(3);
    }));

  test("lets go of who waits", () =>
    withQueue(async (queue) => {
      const stop = new AbortController();
      const waiting = queue.claim(stop.signal);
      await pause(20);
      stop.abort();
      expect(await waiting).toBeUndefined();
      expect(await queue.claim(stop.signal)).toBeUndefined();
      await queue.put("a");
      expect((await claimed(queue, 2 * LEASE))!.id).toBe("a");
    }));
});

describe.skipIf(WITHOUT_NATS !== undefined)("a queue's server", () => {
  it("that is killed loses nothing: what was put is claimed, what was claimed comes again", async () => {
    const queue = await openJetStream({
      lease: LEASE,
      capacity: 9,
      server: nats!.url,
      name: "killed",
      patience: 20_000,
    });
    await queue.put("a");
    await queue.put("b");
    const before = await queue.claim(NEVER);
    await nats!.kill();
    const putting = queue.put("c");
    const waiting = queue.claim(NEVER);
    await pause(LEASE);
    await nats!.restart();
    expect(await putting).toBe(true);
    const ids = new Set<string>();
    while (ids.size < 3) {
      const claim = ids.size === 0 ? await waiting : await queue.claim(NEVER);
      ids.add(claim!.id);
      await claim!.acknowledge();
    }
    expect(before!.id).toBe("a");
    expect(ids).toEqual(new Set(["a", "b", "c"]));
    expect(await queue.depth()).toBe(0);
    await queue.close();
  });

  it("that is not there is an error with its place", async () => {
    const opening = openJetStream({ lease: LEASE, capacity: 9, server: "nats://127.0.0.1:9", name: "none" });
    await expect(opening).rejects.toThrow(/E0601/);
  });
});

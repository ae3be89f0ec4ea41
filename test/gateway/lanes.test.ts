/**
 * Protects: every piece of work is answered once, whatever lanes do; a lane that fails gives its work to another; no
 * caller is kept waiting by what another one asks.
 */
import { afterEach, describe, expect, it } from "vitest";
import { Lanes, type LanesOptions } from "../../gateway/lanes.js";
import { InProcessQueue } from "../../gateway/queue/in-process.js";
import type { Claim, Queue } from "../../gateway/queue/queue.js";
import { fail } from "../../ir/diagnostics.js";

type Ask = (work: string) => Promise<string>;
const opened: Lanes<string, string>[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((lanes) => lanes.close()));
});

function lanesOf(asks: readonly Ask[], more: Partial<LanesOptions<string, string>> = {}): Lanes<string, string> {
  const lanes = new Lanes({
    lanes: asks.map((ask, i) => ({ name: `lane ${i}`, ask })),
    ...{
      queue: new InProcessQueue({ lease: 1000, capacity: 1000 }),
      lease: 1000,
      patience: 500,
      capacity: 1000,
      rest: 10,
    },
    ...more,
  });
  opened.push(lanes);
  return lanes;
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
const gone = (): never => {
  throw fail({ code: "E0601", what: "P1 is gone", where: "P1" });
};
const works = Array.from({ length: 12 }, (_, i) => `work ${i}`);
const answered = (work: string): string => `answer to ${work}`;

describe("lanes", () => {
  it("work at the same time, each on one piece", async () => {
    let [running, most] = [0, 0];
    const ask: Ask = async (work) => {
      most = Math.max(most, ++running);
      await pause(5);
      running--;
      return answered(work);
    };
    const lanes = lanesOf([ask, ask, ask]);
    expect(await Promise.all(works.map((work) => lanes.submit(work)))).toEqual(works.map(answered));
    expect(most).toBe(3);
    expect(lanes.depth).toBe(0);
  });

  it("take callers in turns", async () => {
    const order: string[] = [];
    const lanes = lanesOf([
      async (work) => {
        await pause(2);
        order.push(work);
        return work;
      },
    ]);
    const many = works.map((work) => lanes.submit(work, "greedy"));
    const one = lanes.submit("mine", "modest");
    await Promise.all([...many, one]);
    // One is worked on, one waits ahead of the lane, then it is the other's turn.
    expect(order.indexOf("mine")).toBeLessThanOrEqual(3);
  });

  it("refuse more than they hold, and say when to come back", async () => {
    const lanes = lanesOf([() => pause(20).then(() => "")], { capacity: 2 });
    const held = [lanes.submit("a"), lanes.submit("b")];
    await expect(lanes.submit("c")).rejects.toThrow(/E1002.*ask again in \d+ s/s);
    await Promise.all(held);
    await expect(lanes.submit("c")).resolves.toBe("");
  });

  it("that fail give their work to others, and come back", async () => {
    let failures = 0;
    const said: string[] = [];
    const sick: Ask = async (work) => (failures++ < 2 ? gone() : answered(work));
    const slow: Ask = (work) => pause(60).then(() => answered(work));
    const lanes = lanesOf([sick, slow], { onTrouble: (text) => said.push(text), patience: 10_000 });
    expect(await Promise.all(works.map((work) => lanes.submit(work)))).toEqual(works.map(answered));
    expect(failures).toBeGreaterThan(2);
    expect(said[0]).toBe("lane 0 rests a while: P1 is gone");
  });

  it("tell the caller what is wrong with the work, and go on", async () => {
    let asked = 0;
    const lanes = lanesOf([
      async (work) => {
        asked++;
        return work === "bad" ? Promise.reject(fail({ code: "E0503", what: "withheld" })) : work;
      },
    ]);
    await expect(lanes.submit("bad")).rejects.toThrow(/E0503/);
    expect(asked).toBe(1);
    expect(await lanes.submit("good")).toBe("good");
  });

  it("give up work over which they fail again and again, while they answer other work", async () => {
    const ask: Ask = async (work) => (work === "poison" ? gone() : work);
    const lanes = lanesOf([ask, ask], { patience: 60_000 });
    const poison = lanes.submit("poison");
    const others = setInterval(() => void lanes.submit("other").catch(() => undefined), 50);
    await expect(poison).rejects.toThrow(/E0601/);
    clearInterval(others);
    expect(lanes.failure).toBeUndefined();
  });

  it("that are all gone end everything, with the cause", async () => {
    const lanes = lanesOf([async () => gone(), async () => gone()], { patience: 300 });
    const ends = await Promise.allSettled(works.map((work) => lanes.submit(work)));
    expect(ends.every(({ status }) => status === "rejected")).toBe(true);
    expect(String(lanes.failure)).toMatch(/E0601/);
    await expect(lanes.submit("late")).rejects.toThrow(/E0601/);
  });

  it("are tried for ever by a server: who waits hears why, and the next one is answered", async () => {
    let isThere = false;
    const lanes = lanesOf([async (work) => (isThere ? work : gone())], { patience: 50, isForEver: true });
    await expect(lanes.submit("early")).rejects.toThrow(/E0601/);
    expect(lanes.failure).toBeUndefined();
    isThere = true;
    await expect(lanes.submit("late")).resolves.toBe("late");
  });

  it("that never can are given up at once", async () => {
    const ask: Ask = async () => Promise.reject(fail({ code: "E0802", what: "P0 has not approved the plan" }));
    const lanes = lanesOf([ask], { patience: 60_000 });
    await expect(lanes.submit("a")).rejects.toThrow(/E0802/);
  });

  it("extend what they work on: longer than a lease, it is asked once", async () => {
    let asked = 0;
    const slow: Ask = async (work) => {
      asked++;
      await pause(400);
      return answered(work);
    };
    const queue = new InProcessQueue({ lease: 100, capacity: 10 });
    const lanes = lanesOf([slow, slow], { queue, lease: 100 });
    expect(await lanes.submit("a")).toBe(answered("a"));
    expect(asked).toBe(1);
  });

  it("put handles into the queue, and nothing of the work", async () => {
    const put: string[] = [];
    class Noted extends InProcessQueue {
      override put(id: string): Promise<boolean> {
        put.push(id);
        return super.put(id);
      }
    }
    const lanes = lanesOf([async (work) => work], { queue: new Noted({ lease: 1000, capacity: 10 }) });
    await Promise.all(["a secret prompt", "another"].map((work) => lanes.submit(work, "a caller")));
    expect(put).toHaveLength(2);
    put.forEach((id) => void expect(id).toMatch(/^[0-9a-f]{16}-\d$/));
  });

  it("give the first answer only, where the queue delivers twice", async () => {
    const twice = new Twice({ lease: 1000, capacity: 100 });
    let asked = 0;
    const ask: Ask = async (work) => {
      const mine = ++asked;
      await pause(mine === 1 ? 30 : 5);
      return `${work}, ${mine}`;
    };
    const lanes = lanesOf([ask, ask], { queue: twice });
    expect(await lanes.submit("a")).toBe("a, 2");
    await pause(50);
    expect(asked).toBe(2);
    expect(await twice.depth()).toBe(0);
  });
});

/** A queue that delivers the first request to two claimants at once, as after a lease that ran out. */
class Twice extends InProcessQueue implements Queue {
  private copies: ((claim: Claim) => void)[] = [];
  private claims = 0;

  override async claim(signal: AbortSignal): Promise<Claim | undefined> {
    if (this.claims++ === 1) {
      return new Promise((resolve) => this.copies.push(resolve));
    }
    const claim = await super.claim(signal);
    if (claim !== undefined) {
      this.copies.splice(0).forEach((give) => void give(claim));
    }
    return claim;
  }
}

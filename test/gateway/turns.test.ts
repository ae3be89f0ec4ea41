/** Protects: so many ask at a time, callers in turns, and who finds no room hears when to come again. */
import { expect, it } from "vitest";
import { ApiError } from "../../gateway/errors.js";
import { Turns } from "../../gateway/turns.js";

const NEVER = new AbortController().signal;

it("callers take turns, whatever one of them asks", async () => {
  const turns = new Turns({ atOnce: 2, waiting: 20 });
  const order: string[] = [];
  let [running, most] = [0, 0];
  const ask = async (what: string, caller: string): Promise<void> => {
    const leave = await turns.enter(NEVER, caller);
    most = Math.max(most, ++running);
    order.push(what);
    await new Promise((resolve) => setTimeout(resolve, 2));
    running--;
    leave();
    leave();
  };
  const greedy = Array.from({ length: 8 }, (_, i) => ask(`greedy ${i}`, "greedy"));
  await Promise.all([...greedy, ask("modest", "modest"), ask("other", "other")]);
  expect(order.slice(0, 5).toSorted()).toEqual(["greedy 0", "greedy 1", "greedy 2", "modest", "other"]);
  expect(order.filter((each) => each.startsWith("greedy"))).toEqual(Array.from({ length: 8 }, (_, i) => `greedy ${i}`));
  expect(most).toBe(2);
  expect(turns.waiting).toBe(0);
});

it("who finds no room is told when to come again, who leaves takes no turn", async () => {
  const turns = new Turns({ atOnce: 1, waiting: 1 });
  const leave = await turns.enter(NEVER);
  const impatient = new AbortController();
  const waiting = turns.enter(impatient.signal, "b");
  const refused = await turns.enter(NEVER, "c").catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(ApiError);
  expect(refused).toMatchObject({ status: 429 });
  expect((refused as ApiError).details.retryAfter).toBeGreaterThan(0);
  impatient.abort(new Error("left"));
  await expect(waiting).rejects.toThrow("left");
  expect(turns.waiting).toBe(0);
  leave();
  (await turns.enter(NEVER, "c"))();
});

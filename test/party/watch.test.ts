/** Protects: what a party's operator is shown in numbers is what the party does, each gauge up and down again. */
import { afterEach, beforeAll, expect, it } from "vitest";
import { prepareQuestions } from "../../client/remote/prepare.js";
import { Watch } from "../../party/watch.js";
import { sealedBytes } from "../../runtime/material.js";
import { dealtBytes } from "../../runtime/party.js";
import { rejection } from "../runtime/mesh.js";
import { smallPlan, startThree, type Three } from "./three.js";

let plan: Awaited<ReturnType<typeof smallPlan>>;
let three: Three | undefined;
let watch: Watch | undefined;
beforeAll(async () => {
  plan = await smallPlan();
});
afterEach(async () => {
  watch?.close();
  await three?.stop();
});

/** What P2 shows now, by name. */
async function shownAt(port: number): Promise<Readonly<Record<string, number>>> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const lines = [...text.matchAll(/^pumac_(\w+) ([\d.e+-]+)$/gm)];
  return Object.fromEntries(lines.map(([, name, value]) => [name, Number(value)]));
}

it("a party's gauges say what runs, waits, is kept and was refused", async () => {
  three = await startThree({ sessions: 1 });
  three.approve(plan.digest);
  await three.share(plan);
  watch = new Watch(three.of.P2);
  const port = await watch.start({ host: "127.0.0.1", port: 0 });
  const idle = { sessions_running: 0, sessions_waiting: 0, prepared_questions: 0, prepared_bytes: 0 };
  // Certificates of these tests are good for a day.
  expect(await shownAt(port)).toMatchObject({ ...idle, callers_refused: 0, certificates_expiring: 5 });

  await prepareQuestions(plan, { topology: three.topology("clinic"), timeout: 5000, keep: 86_400_000, count: 2 });
  const bytes = 2 * sealedBytes(dealtBytes(plan.plan));
  const kept = await shownAt(port);
  expect(kept.prepared_questions).toBe(2);
  expect(kept.prepared_bytes).toBeGreaterThanOrEqual(bytes);
  expect(kept.prepared_bytes).toBeLessThan(1.1 * bytes);

  const { admission } = three.of.P2;
  const leave = await admission.enter(1, () => undefined, new AbortController().signal);
  const waiting = three.ask(plan);
  await expect.poll(async () => (await shownAt(port)).sessions_waiting).toBe(1);
  expect((await shownAt(port)).sessions_running).toBe(1);
  leave();
  await waiting;
  await three.ask(plan);
  await expect.poll(() => shownAt(port)).toMatchObject(idle);

  await rejection(three.ask(plan, { topology: three.topology("stranger") }));
  await expect.poll(async () => (await shownAt(port)).callers_refused).toBeGreaterThan(0);
});

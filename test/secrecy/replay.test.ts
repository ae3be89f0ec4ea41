/**
 * Protects: a session's id is used once at each party, for as long as its clock allows, also across restarts; and no
 * computing party is taken for a data owner.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { askAll, connectParties } from "../../client/remote/connect.js";
import { CATALOGUE } from "../../ir/catalogue.js";
import { SessionIds } from "../../party/records.js";
import { decodeControl, encodeControl } from "../../runtime/control.js";
import { PROTOCOL_VERSION } from "../../runtime/handshake.js";
import { HAVE } from "../../runtime/requests.js";
import { PARTIES } from "../../runtime/transport.js";
import { smallPlan, startThree, type Three } from "../party/three.js";
import { rejection } from "../runtime/mesh.js";

const MINUTE = 60_000;
const ID = "ab".repeat(16);
let plan: Awaited<ReturnType<typeof smallPlan>>;
let three: Three | undefined;
beforeAll(async () => {
  plan = await smallPlan();
});
afterEach(async () => {
  await three?.stop();
  three = undefined;
});

describe("an id", () => {
  it("is fresh once, within ten minutes of its making by this clock", () => {
    const folder = mkdtempSync(join(tmpdir(), "pumac-test-"));
    const now = 1e12;
    const ids = new SessionIds(folder, now);
    expect(ids.use("a", now, now)).toBe(true);
    expect(ids.use("a", now, now)).toBe(false);
    expect(ids.use("a", now + 1, now + 1)).toBe(false);
    expect(new SessionIds(folder, now + 1).use("a", now, now + 1)).toBe(false);
    for (const off of [10 * MINUTE, -10 * MINUTE]) {
      expect(ids.use(`at ${off}`, now + off, now)).toBe(true);
      expect(ids.use(`beyond ${off}`, now + off + Math.sign(off), now)).toBe(false);
    }
    rmSync(folder, { recursive: true });
  });

  it("is never taken again as it was, however time goes on and whenever the party restarts", () => {
    const step = fc.record({
      after: fc.integer({ min: 0, max: 7 * MINUTE }),
      off: fc.integer({ min: -11 * MINUTE, max: 11 * MINUTE }),
      id: fc.integer({ min: 0, max: 3 }),
      restarts: fc.boolean(),
    });
    const property = fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const folder = mkdtempSync(join(tmpdir(), "pumac-test-"));
      let now = 1e12;
      let ids = new SessionIds(folder, now);
      const taken = new Map<string, number>();
      for (const { after, off, id, restarts } of steps) {
        now += after;
        ids = restarts ? new SessionIds(folder, now) : ids;
        for (const [old, at] of taken) {
          expect(ids.use(old, at, now)).toBe(false);
        }
        const name = `${id}`;
        if (ids.use(name, now + off, now)) {
          taken.set(name, now + off);
        }
      }
      rmSync(folder, { recursive: true });
    });
    fc.assert(property, { numRuns: 60 });
  });
});

describe("a party", () => {
  /** What each party has against a session of this id that was made then. */
  async function refusals(id: string, at = Date.now()): Promise<readonly (string | null)[]> {
    const transport = await connectParties("data", three!.topology("clinic"), id, 5000);
    const answers = await askAll(transport, encodeControl({ version: PROTOCOL_VERSION, plan: plan.digest, at }));
    await transport.close();
    return PARTIES.map((party) => decodeControl(answers.get(party)!, party, HAVE).refused);
  }

  it("refuses an id that it has seen, and one that is too old, also after it came back", async () => {
    three = await startThree();
    three.approve(plan.digest);
    const at = Date.now();
    expect(await refusals(ID, at)).toEqual([null, null, null]);
    expect(await refusals(ID, at)).toEqual(["E0902", "E0902", "E0902"]);
    await three.restart("P1");
    expect(await refusals(ID)).toEqual(["E0902", "E0902", "E0902"]);
    expect(await refusals("cd".repeat(16), at - 11 * MINUTE)).toEqual(["E0902", "E0902", "E0902"]);
    expect(CATALOGUE.E0902.exit).toBeGreaterThan(5);
  });

  it.each(PARTIES)("%s is no data owner, whatever it holds", async (party) => {
    three = await startThree();
    three.approve(plan.digest);
    await three.share(plan);
    const asked = three.ask(plan, { topology: three.topology(party) });
    expect((await rejection(asked)).code).toBe("E0701");
  });
});

/** A plan's layout at a party is made once, and is another one for each party and plan. */
import { expect, it } from "vitest";
import { Builder } from "../../ir/graph.js";
import { SHARE } from "../../ir/share/index.js";
import { laidOut } from "../../runtime/layout.js";
import { PARTIES } from "../../runtime/transport.js";
import { planFor } from "../plan/support.js";

/** A square of so many numbers. */
function planOf(count: number) {
  const builder = new Builder(SHARE);
  const attributes = { owner: "data", name: "x", ring: 40, fraction: 0, shape: [count] };
  const x = builder.emit("input", [], attributes, "node");
  const y = builder.emit("remask", [builder.emit("multiply", [x, x], { drop: 0 }, "node")], {}, "node");
  return planFor(builder.finish([{ name: "y", node: builder.emit("reveal", [y], { name: "y" }, "node") }]));
}

it("is there at once the second time a party runs a plan", async () => {
  const [plan, longer] = [planOf(100), planOf(1000)];
  const first = await Promise.all(PARTIES.map((party) => laidOut(plan, party)));
  const again = await Promise.all(PARTIES.map((party) => laidOut(plan, party)));
  again.forEach((layout, i) => void expect(layout).toBe(first[i]));
  const other = await laidOut(longer, "P1");
  expect(new Set([...first, other]).size).toBe(4);
  expect(other.layout.bytes).toBeGreaterThan(first[1].layout.bytes);
});

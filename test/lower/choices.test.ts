/** A plan says between which forms of a function the compiler chose: the fastest is the one that it has. */
import { describe, expect, it } from "vitest";
import { describeForm, takenForms } from "../../analysis/forms.js";
import { parseNetwork } from "../../compiler/network.js";
import { compileArchitecture, shortened } from "../gates/support.js";

async function choicesOn(network: string) {
  const { plan } = await compileArchitecture(shortened("bert-base", 1), 16, { network: parseNetwork(network) });
  return plan.choices;
}

describe("the forms of a layer", () => {
  it("are the fastest, with the seconds of all, and other ones where rounds are dear", async () => {
    const [near, far] = [await choicesOn("1gbps,0.01ms"), await choicesOn("1gbps,100ms")];
    for (const { what, forms } of [...near, ...far]) {
      expect(forms[0].seconds, what).toBe(Math.min(...forms.map(({ seconds }) => seconds)));
    }
    const norm = (choices: typeof near) => choices.find(({ what }) => what === "a norm's scale")?.forms[0].form;
    expect([norm(near), norm(far)]).toEqual(["before it", "after the matrix"]);
    const whats = near.map(({ what }) => what).join("\n");
    for (const each of [/^1\/√x over \d+ octaves$/m, /^1\/x over/m, /^gelu/m, /^a softmax row's maximum$/m]) {
      expect(whats).toMatch(each);
    }
  });
});

it("a report sums them over the nodes that are alike", () => {
  const forms = [
    { form: "one sum", seconds: 0.001 },
    { form: "buckets", seconds: 0.0025 },
  ];
  const other = { node: "c", what: "1/x", forms: forms.slice(0, 1) };
  const lines = takenForms([{ node: "a", what: "1/√x", forms }, other, { node: "b", what: "1/√x", forms }]).map(
    describeForm,
  );
  expect(lines).toEqual(["1/√x at 2 nodes: one sum, 2 ms (buckets, 5 ms)", "1/x at c: one sum, 1 ms"]);
});

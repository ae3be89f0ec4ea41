/**
 * Protects: the first places of rows of any length are those of the values in the clear, of equal ones the first
 * first, whatever network decides how rows are cut; and it costs what is said, on every link.
 */
import { describe, expect, it } from "vitest";
import { costOf } from "../../analysis/cost.js";
import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import { parseNetwork } from "../../compiler/network.js";
import { planDigest } from "../../ir/plan/codec.js";
import { evaluateGraph, TENSOR } from "../../ir/tensor/index.js";
import { parse } from "../../ir/text.js";
import { compileText, floats, refusals } from "./support.js";

function top(rows: number, length: number, count: number, largest: boolean) {
  const values = floats([rows, length], (i) => ((i * 7919) % 397) / 64 - 3);
  const attributes = `{axis = 1, count = ${count}, largest = ${largest}}`;
  return {
    text: `%0 = input {name = "x", dtype = "f32", shape = [${rows}, ${length}]} : f32[${rows},${length}]
%1 = topValues %0 ${attributes} : f32[${rows},${count}]
%2 = topIndices %0 ${attributes} : i64[${rows},${count}]
output "values" = %1
output "indices" = %2`,
    inputs: new Map([["x", values]]),
  };
}

const NETWORKS = { bytes: "1kbps,1us", rounds: "1000gbps,100s", lan: "5gbps,1ms" };

describe.each(Object.entries(NETWORKS))("planned for few %s", (_, network) => {
  it.each([
    [2, 5, 5, true],
    [2, 90, 4, true],
    [2, 90, 4, false],
    [1, 701, 1, true],
    [2, 701, 5, true],
    [1, 1300, 8, true],
  ])("%i rows of %i, the first %i, largest: %s", async (rows, length, count, largest) => {
    const model = top(rows, length, count, largest);
    const { plan, weights } = compileText(model, { network: parseNetwork(network), shared: ["x"] });
    const owners = runOwners(plan, model.inputs, weights);
    const { outputs, measured } = await simulate({ plan, digest: planDigest(plan) }, owners, 1);
    const wanted = evaluateGraph(parse(model.text, TENSOR), model.inputs);
    const [places, exactPlaces] = [outputs, wanted].map((each) => Array.from(each.get("indices")!.data));
    const [found, exact] = [outputs, wanted].map((each) => Array.from(each.get("values")!.data));
    // Of a row of more than 1024 elements, those that differ by less than 2^-9 may be taken for each other.
    const [error, isExact] = length > 1024 ? [2 ** -9, false] : [1e-3, true];
    expect(Math.max(...found.map((x, i) => Math.abs(x - exact[i])))).toBeLessThan(error);
    expect(isExact ? places : new Set(places).size).toEqual(isExact ? exactPlaces : rows * count);
    const { data } = model.inputs.get("x")!;
    expect(
      Math.max(...places.map((at, i) => Math.abs(data[Math.floor(i / count) * length + at] - exact[i]))),
    ).toBeLessThan(error);
    const { rounds, bytes } = costOf(plan);
    expect(measured.rounds).toBe(rounds);
    expect(measured.bytes.total).toBe(bytes.total);
    expect(measured.bytes.links).toMatchObject({ "P0>P2": bytes.links["P0>P2"], "P1>P2": bytes.links["P1>P2"] });
  });
});

it("finds no more of a long row than a group has", () => {
  expect(refusals(top(1, 600, 33, true), { shared: ["x"] })).toEqual([expect.stringContaining("E0402")]);
});

/** Placement: what may be secret, what is refused and how, and what stays with whom. */
import { describe, expect, it } from "vitest";
import { PumacError } from "../../ir/diagnostics.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { parse, print } from "../../ir/text.js";
import { canonicalise } from "../../passes/canonicalise.js";
import { fuse } from "../../passes/fuse.js";
import { place } from "../../passes/place.js";

const SECRET_INDEX = `
%0 = input {name = "x", dtype = "f32", shape = [4]} : f32[4] @ "x"
%1 = parameter {name = "w", dtype = "f32", shape = [4]} : f32[4] @ "w"
%2 = multiply %0, %1 : f32[4] @ "layer/Mul"
%3 = isNaN %2 : bool[4] @ "layer/IsNaN"
%4 = cast %2 {dtype = "i64"} : i64[4] @ "layer/Cast"
%5 = gather %1, %4 {axis = 0} : f32[4] @ "layer/Gather"
%6 = constant {value = i64[] [3]} : i64[]
%7 = divide %4, %6 : i64[4] @ "layer/Div"
output "nan" = %3
output "rows" = %5
output "thirds" = %7
`;

const MASKED = `
%0 = input {name = "x", dtype = "f32", shape = [2, 2]} : f32[2,2]
%1 = parameter {name = "w", dtype = "f32", shape = [2, 2]} : f32[2,2]
%2 = matmul %0, %1 : f32[2,2]
%3 = input {name = "mask", dtype = "bool", shape = [2]} : bool[2]
%4 = constant {value = bool[2,2] [1, 0, 1, 1]} : bool[2,2]
%5 = and %3, %4 : bool[2,2]
%6 = softmax %2, %5 {axis = 1} : f32[2,2]
output "y" = %6
`;

const ids = (table: string) => `
%0 = input {name = "ids", dtype = "i64", shape = [3]} : i64[3]
%1 = ${table}
%2 = embedding %1, %0 : f32[3,2]
%3 = parameter {name = "v", dtype = "f32", shape = [3, 2]} : f32[3,2]
%4 = multiply %2, %3 : f32[3,2]
output "y" = %4
`;

describe("place", () => {
  it("names every op without a secret meaning at once", () => {
    let caught: unknown;
    try {
      place(parse(SECRET_INDEX, TENSOR), { hasSecretMeaning: (op) => op !== "isNaN" });
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(PumacError);
    const found = (caught as PumacError).diagnostics.map(({ code, where }) => [code, where]);
    expect(found).toEqual([
      ["E0403", "layer/IsNaN"],
      ["E0403", "layer/Div"],
    ]);
  });

  it("shows the constant part of a mask to the planner only where it is asked to", () => {
    const graph = parse(MASKED, TENSOR);
    const ops = (splitMasks: boolean) =>
      place(graph, { isPublic: (name) => name === "mask", splitMasks }).secret.nodes.map(({ op }) => op);
    expect(ops(true).filter((op) => op === "and")).toHaveLength(1);
    expect(ops(false).filter((op) => op === "and")).toHaveLength(0);
  });

  it("takes public inputs from the data owner's program, known to all", () => {
    const { bindings, data } = place(parse(MASKED, TENSOR), { isPublic: (name) => name === "mask" });
    expect(bindings.map(({ owner }) => owner).sort()).toEqual(["data", "model", "public"]);
    expect(data.outputs.map(({ name }) => name)).toContain(bindings.find(({ owner }) => owner === "public")!.output);
  });

  it("makes one-hot rows for an owner's table only: a public table is looked up in the clear", () => {
    const owned = place(parse(ids(`parameter {name = "t", dtype = "f32", shape = [4, 2]} : f32[4,2]`), TENSOR));
    expect(owned.secret.nodes.some(({ op }) => op === "matmul")).toBe(true);
    const known = place(parse(ids("constant {value = f32[4,2] [1, 2, 3, 4, 5, 6, 7, 8]} : f32[4,2]"), TENSOR));
    expect(known.secret.nodes.some(({ op }) => op === "matmul")).toBe(false);
    expect(known.data.nodes.some(({ op }) => op === "embedding")).toBe(true);
  });

  it("gives the same programs for the same graph", () => {
    const text = () => {
      const { secret, model, data } = place(fuse(canonicalise(parse(MASKED, TENSOR))));
      return [secret, model, data].map((program) => print(program, TENSOR)).join();
    };
    expect(text()).toBe(text());
  });
});

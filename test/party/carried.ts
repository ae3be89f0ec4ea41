/** The programs of a conversation in small, for tests of parties that stay. */
import { Builder, type Graph } from "../../ir/graph.js";
import { SHARE, type ShareType } from "../../ir/share/index.js";

export const SHAPE = [5];

/** y = w·x, which nothing is kept of; or w·(s + x), and s + x is kept: without s where the program begins anew. */
export function program(kind: "single" | "anew" | "continued"): Graph<ShareType> {
  const builder = new Builder(SHARE);
  const emit = (op: string, args: Parameters<typeof builder.emit>[1], attributes = {}) =>
    builder.emit(op, args, attributes, "node");
  const input = (owner: string, name: string) =>
    emit("input", [], { owner, name, ring: 40, fraction: 0, shape: SHAPE });
  const x = input("data", "x");
  const sum = kind === "continued" ? emit("add", [input("state", "sum"), x]) : x;
  const y = emit("remask", [emit("multiply", [sum, input("model", "w")], { drop: 0 })]);
  const outputs = [{ name: "y", node: emit("reveal", [y], { name: "y" }) }];
  const kept = () => ({ name: "sum", node: emit("keep", [sum], { name: "sum", ring: 0 }) });
  return builder.finish(kind === "single" ? outputs : [...outputs, kept()]);
}

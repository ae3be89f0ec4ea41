/** Building, pruning and rewriting graphs. */
import { describe, expect, it } from "vitest";
import { located, type PumacError, Refusal } from "../../ir/diagnostics.js";
import { Builder, type Language, prune, rewrite, usersOf } from "../../ir/graph.js";
import { TENSOR } from "../../ir/tensor/index.js";

function chain() {
  const builder = new Builder(TENSOR);
  const x = builder.emit("input", [], { name: "x", dtype: "f32", shape: [2] });
  const unused = builder.emit("input", [], { name: "unused", dtype: "f32", shape: [2] });
  const first = builder.emit("negate", [x], {}, "first");
  const second = builder.emit("negate", [first], {}, "second");
  const idle = builder.emit("relu", [first]);
  const sum = builder.emit("add", [second, second], {}, "sum");
  return { builder, x, unused, first, second, idle, sum };
}

describe("a builder", () => {
  it("drops what no output needs, but keeps inputs", () => {
    const { builder, x, unused, first, second, sum } = chain();
    const graph = builder.finish([{ name: "y", node: sum }]);
    expect(graph.nodes).toEqual([x, unused, first, second, sum]);
    expect(prune(graph)).toBe(graph);
  });

  it("appends a node once", () => {
    const { builder, sum } = chain();
    const count = builder.nodes.length;
    expect(builder.append(sum)).toBe(sum);
    expect(builder.nodes.length).toBe(count);
  });

  it("lets a rule refuse, and whoever applies it say where: other errors are bugs and stay what they are", () => {
    const language = (error: Error): Language<number> => ({
      name: "toy",
      ops: {
        bad: {
          doc: "Refuses.",
          arity: [0, 0],
          attributes: {},
          infer: () => {
            throw error;
          },
        },
      },
      printType: String,
      parseType: Number,
    });
    const thrownBy = (error: Error): unknown => {
      const emit = () => new Builder(language(error)).emit("bad", [], {}, "layer.3");
      try {
        return located((what) => ({ code: "E0404", what, where: "layer.3" }), emit);
      } catch (thrown) {
        return thrown;
      }
    };
    const refused = thrownBy(new Refusal("no"));
    expect((refused as PumacError).diagnostics).toEqual([{ code: "E0404", what: "no", where: "layer.3" }]);
    const bug = new TypeError("a bug");
    expect(thrownBy(bug)).toBe(bug);
  });
});

describe("users", () => {
  it("are listed once for every use, in order", () => {
    const { builder, first, second, sum } = chain();
    const users = usersOf(builder.finish([{ name: "y", node: sum }]));
    expect(users.get(second)).toEqual([sum, sum]);
    expect(users.get(first)).toEqual([second]);
    expect(users.get(sum)).toEqual([]);
  });
});

describe("rewriting", () => {
  it("keeps nodes whose arguments stay, and builds users of replaced ones anew", () => {
    const { builder, x, first, second, sum } = chain();
    const graph = builder.finish([{ name: "y", node: sum }]);
    expect(rewrite(graph, TENSOR, () => undefined).nodes).toEqual(graph.nodes);
    const next = rewrite(graph, TENSOR, (node, args) =>
      node.op === "negate" && args[0].op === "negate" ? args[0].args[0] : undefined,
    );
    expect(next.nodes.map((node) => node.op)).toEqual(["input", "input", "add"]);
    expect(next.outputs[0].node.args).toEqual([x, x]);
    expect(next.outputs[0].node.origin).toBe("sum");
    expect(graph.nodes.includes(first) && graph.nodes.includes(second)).toBe(true);
  });
});

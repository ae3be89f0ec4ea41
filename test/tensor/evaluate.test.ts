/** Running a whole graph: where values come from, and when they are let go. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { Builder } from "../../ir/graph.js";
import { evaluateGraph, outputsInTurn, Rooms, roomsOf, TENSOR } from "../../ir/tensor/index.js";
import { scalar } from "../../ir/tensor/value.js";
import { tensor } from "./apply.js";

function affine() {
  const builder = new Builder(TENSOR);
  const x = builder.emit("input", [], { name: "x", dtype: "f32", shape: [2] });
  const w = builder.emit("parameter", [], { name: "w", dtype: "f32", shape: [2] });
  const b = builder.emit("constant", [], { value: scalar(1) });
  const product = builder.emit("multiply", [x, w]);
  const sum = builder.emit("add", [product, b]);
  return builder.finish([
    { name: "sum", node: sum },
    { name: "again", node: sum },
    { name: "product", node: product },
  ]);
}

const weights = {
  read: (name: string) => {
    if (name !== "w") {
      throw new Error(`no weight '${name}'`);
    }
    return tensor([2], [3, 4]);
  },
};

describe("a graph", () => {
  it("takes inputs from a map or a function, and weights from their store", () => {
    const x = tensor([2], [10, 20]);
    for (const inputs of [new Map([["x", x]]), (name: string) => (name === "x" ? x : undefined)]) {
      const outputs = evaluateGraph(affine(), inputs, weights);
      expect([...outputs.keys()]).toEqual(["sum", "again", "product"]);
      expect(Array.from(outputs.get("sum")?.data ?? [])).toEqual([31, 81]);
      expect(outputs.get("again")).toEqual(outputs.get("sum"));
      expect(Array.from(outputs.get("product")?.data ?? [])).toEqual([30, 80]);
    }
  });

  it("gives its outputs in turn, and reads a weight when an output that needs it is asked for", async () => {
    const builder = new Builder(TENSOR);
    const parameters = ["w0", "w1", "w2"].map((name) =>
      builder.emit("parameter", [], { name, dtype: "f32", shape: [2] }),
    );
    const [first, , last] = parameters;
    const both = builder.emit("add", [last, first]);
    const outputs = [last, both, first, last].map((node, i) => ({ name: `y${i}`, node }));
    const read: string[] = [];
    const store = { read: (name: string) => tensor([2], [read.push(name), Number(name[1])]) };
    const seen: unknown[] = [];
    const turns: number[] = [];
    const turn = async (): Promise<void> => void turns.push(0);
    for await (const [name, { data }] of outputsInTurn(builder.finish(outputs), new Map(), store, {}, turn)) {
      seen.push([name, [...data], [...read]]);
    }
    expect(seen).toEqual([
      ["y0", [1, 2], ["w2"]],
      ["y1", [3, 2], ["w2", "w0"]],
      ["y2", [2, 0], ["w2", "w0"]],
      ["y3", [1, 2], ["w2", "w0"]],
    ]);
    expect(turns).toHaveLength(3);
  });

  it.each([3, 300])(
    "gives the same outputs in turn in rooms that are used again, as many as are foretold",
    async (rows) => {
      const builder = new Builder(TENSOR);
      const nodes = Array.from({ length: 6 }, (_, i) =>
        builder.emit("parameter", [], { name: `w${i}`, dtype: "f32", shape: [rows, 40] }),
      );
      // Sums that are outputs and arguments, late and early, and one that shares its numbers with another.
      for (let i = 0; i < 30; i++) {
        nodes.push(builder.emit(i % 3 === 0 ? "multiply" : "add", [nodes[nodes.length - 1 - (i % 4)], nodes[i % 6]]));
      }
      const flat = builder.emit("reshape", [nodes[20]], { shape: [40 * rows] });
      const again = builder.emit("add", [flat, flat]);
      const outputs = [nodes[30], flat, nodes[12], again, nodes[20], nodes[35], nodes[12]].map((node, i) => ({
        ...{ name: `y${i}`, node },
      }));
      const graph = builder.finish(outputs);
      const store = {
        read: (name: string, room = (count: number) => new Float32Array(count)) => {
          const data = room(40 * rows);
          data.set(Array.from(data, (_, i) => i % (2 + +name[1])));
          return { dtype: "f32" as const, shape: [rows, 40], data };
        },
      };
      const expected = evaluateGraph(graph, new Map(), store);
      const rooms = new Rooms();
      const memory = new Set<ArrayBufferLike>();
      const noted = <R extends Float64Array | Float32Array>(room: R): R => {
        memory.add(room.buffer);
        return room;
      };
      const watched = {
        take: (count: number) => noted(rooms.take(count)),
        takeSingle: (count: number) => noted(rooms.takeSingle(count)),
        give: (room: Float64Array | Float32Array) => rooms.give(room),
      };
      for (let pass = 0; pass < 2; pass++) {
        for await (const [name, { data }] of outputsInTurn(
          graph,
          new Map(),
          store,
          { rooms: watched },
          () => undefined,
        )) {
          expect(data).toEqual(expected.get(name)!.data);
        }
        if (pass === 0) {
          expect([...memory].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBe(roomsOf(graph).inTurn);
        }
      }
      const whole = outputs.length * 40 * rows * 8;
      expect(roomsOf(graph).outputs).toBe(whole);
      expect(rows > 100 ? 2 * whole - roomsOf(graph).inTurn : roomsOf(graph).inTurn - 2 * whole).toBeGreaterThan(0);
    },
  );

  it("says which input or weight is missing", () => {
    expect(() => evaluateGraph(affine(), new Map(), weights)).toThrow(/'x'/);
    expect(() => evaluateGraph(affine(), () => tensor([2], [1, 2]))).toThrow(/'w'/);
  });

  it("refuses an input of another shape or type than declared", () => {
    expect(() => evaluateGraph(affine(), () => tensor([3], [1, 2, 3]), weights)).toThrow(/'x'.*f32\[3\].*f32\[2\]/);
    expect(() => evaluateGraph(affine(), () => tensor([2], [1, 2], "i64"), weights)).toThrow(/'x'/);
  });

  it("shows every value with its arguments, in order", () => {
    const seen: [string, number][] = [];
    evaluateGraph(affine(), () => tensor([2], [1, 1]), weights, {
      observe: (node, value, args) => {
        seen.push([node.op, args.length]);
        expect(value.shape).toEqual(node.type.shape);
      },
    });
    expect(seen).toEqual([
      ["input", 0],
      ["parameter", 0],
      ["constant", 0],
      ["multiply", 2],
      ["add", 2],
    ]);
  });

  it("lets values go after their last use", () => {
    const count = 1 << 17;
    const builder = new Builder(TENSOR);
    let node = builder.emit("input", [], { name: "x", dtype: "f32", shape: [count] });
    for (let i = 0; i < 40; i++) {
      node = builder.emit("negate", [node]);
    }
    const graph = builder.finish([{ name: "y", node }]);
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const held: number[] = [];
    const inputs = new Map([["x", tensor([count], new Array<number>(count).fill(1))]]);
    const observe = () => {
      collect();
      held.push(process.memoryUsage().arrayBuffers);
    };
    evaluateGraph(graph, inputs, undefined, { observe });
    const grown = Math.max(...held) - held[0];
    expect(grown / (8 * count)).toBeLessThan(10);
  });
});

describe("rooms", () => {
  it("are used again once nobody needs their numbers, and change no result", () => {
    const builder = new Builder(TENSOR);
    const x = builder.emit("input", [], { name: "x", dtype: "f32", shape: [6, 6] });
    const squared = builder.emit("multiply", [x, x]);
    const flat = builder.emit("reshape", [squared], { shape: [36] });
    const negated = builder.emit("subtract", [flat, builder.emit("constant", [], { value: scalar(3) })]);
    const back = builder.emit("reshape", [negated], { shape: [6, 6] });
    const product = builder.emit("matmul", [back, squared]);
    const soft = builder.emit("softmax", [product], { axis: 0 });
    const turned = builder.emit("transpose", [soft], { permutation: [1, 0] });
    const graph = builder.finish([
      { name: "turned", node: turned },
      { name: "flat", node: flat },
    ]);
    const inputs = new Map([["x", tensor([6, 6], [...new Array(36).keys()])]]);
    const expected = evaluateGraph(graph, inputs);
    const rooms = new Rooms();
    for (let run = 0; run < 3; run++) {
      const found = evaluateGraph(graph, inputs, undefined, { rooms });
      expect(found).toEqual(expected);
      for (const { data } of found.values()) {
        rooms.give(data);
      }
      expect(inputs.get("x")?.data[35]).toBe(35);
    }
    const [once, again] = [rooms.take(1000), rooms.take(1000)];
    expect(once.buffer).not.toBe(again.buffer);
    rooms.give(once);
    rooms.give(once);
    // Less may lie in it, of either kind; far less may not, nor more.
    expect(rooms.take(1001).buffer).not.toBe(once.buffer);
    expect(rooms.take(31).buffer).not.toBe(once.buffer);
    const less = rooms.takeSingle(1999);
    expect(less.buffer).toBe(once.buffer);
    expect(less).toHaveLength(1999);
    expect(rooms.take(1000).buffer).not.toBe(once.buffer);
  });
});

/** What the ops that move, sum and look up mean, said once more by indices and compared element by element. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Attributes } from "../../ir/graph.js";
import type { TensorOpName } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { apply, at, indicesOf, tensor } from "./apply.js";
import { EXAMPLES } from "./examples.js";

type Definition = (args: readonly TensorValue[], attributes: Attributes, index: readonly number[]) => number;

const list = (attributes: Attributes, name: string) => attributes[name] as readonly number[];
const whole = (attributes: Attributes, name: string) => attributes[name] as number;
const wrap = (index: number, length: number) => (index < 0 ? index + length : index);
const replaced = (index: readonly number[], axis: number, value: number) =>
  index.map((old, i) => (i === axis ? value : old));

/** The elements of a line of x along an axis, through an index. */
function line(x: TensorValue, index: readonly number[], axis: number): number[] {
  return Array.from({ length: x.shape[axis] }, (_, k) => at(x, replaced(index, axis, k)));
}

/** The elements of x that a reduction gathers at an index of its result. */
function gathered(x: TensorValue, attributes: Attributes, index: readonly number[]): number[] {
  const axes = list(attributes, "axes");
  const kept = x.shape.map((_, axis) => axis).filter((axis) => attributes.keep === true || !axes.includes(axis));
  return indicesOf(x.shape)
    .filter((each) => kept.every((axis, i) => axes.includes(axis) || each[axis] === index[i]))
    .map((each) => at(x, each));
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, x) => total + x, 0);

const DEFINITIONS: Partial<Readonly<Record<TensorOpName, Definition>>> = {
  transpose: ([x], attributes, index) => {
    const from: number[] = [];
    list(attributes, "permutation").forEach((axis, i) => {
      from[axis] = index[i];
    });
    return at(x, from);
  },
  broadcast: ([x], _, index) => at(x, index),
  concatenate: (args, attributes, index) => {
    const axis = whole(attributes, "axis");
    let place = index[axis];
    for (const part of args) {
      if (place < part.shape[axis]) {
        return part.data[
          indicesOf(part.shape).findIndex((each) => String(each) === String(replaced(index, axis, place)))
        ];
      }
      place -= part.shape[axis];
    }
    throw new Error("outside");
  },
  slice: ([x], attributes, index) =>
    at(
      x,
      index.map((i, axis) => list(attributes, "starts")[axis] + i * list(attributes, "steps")[axis]),
    ),
  pad: ([x], attributes, index) => {
    const from = index.map((i, axis) => i - list(attributes, "low")[axis]);
    return from.some((i, axis) => i < 0 || i >= x.shape[axis]) ? whole(attributes, "value") : at(x, from);
  },
  reverse: ([x], attributes, index) =>
    at(
      x,
      index.map((i, axis) => (list(attributes, "axes").includes(axis) ? x.shape[axis] - 1 - i : i)),
    ),
  gather: ([x, indices], attributes, index) => {
    const axis = whole(attributes, "axis");
    const rank = indices.shape.length;
    const chosen = wrap(at(indices, index.slice(axis, axis + rank)), x.shape[axis]);
    return at(x, [...index.slice(0, axis), chosen, ...index.slice(axis + rank)]);
  },
  embedding: ([table, indices], _, index) => {
    const row = wrap(at(indices, index.slice(0, -1)), table.shape[0]);
    return table.data[row * table.shape[1] + index[index.length - 1]];
  },
  oneHot: ([indices], attributes, index) =>
    wrap(at(indices, index.slice(0, -1)), whole(attributes, "depth")) === index.at(-1) ? 1 : 0,
  gatherElements: ([x, indices], attributes, index) => {
    const axis = whole(attributes, "axis");
    return at(x, replaced(index, axis, wrap(at(indices, index), x.shape[axis])));
  },
  gatherND: ([x, indices], attributes, index) => {
    const batch = whole(attributes, "batch");
    const outer = indices.shape.length - 1;
    const tuple = Array.from({ length: indices.shape[outer] }, (_, k) =>
      wrap(at(indices, [...index.slice(0, outer), k]), x.shape[batch + k]),
    );
    return at(x, [...index.slice(0, batch), ...tuple, ...index.slice(outer)]);
  },
  triangular: ([x], attributes, index) => {
    const distance = (index.at(-1) as number) - (index.at(-2) as number);
    const diagonal = whole(attributes, "diagonal");
    return (attributes.upper === true ? distance >= diagonal : distance <= diagonal) ? at(x, index) : 0;
  },
  reduceSum: ([x], attributes, index) => sum(gathered(x, attributes, index)),
  reduceMean: ([x], attributes, index) => {
    const numbers = gathered(x, attributes, index);
    return sum(numbers) / numbers.length;
  },
  reduceMaximum: ([x], attributes, index) => Math.max(...gathered(x, attributes, index)),
  reduceMinimum: ([x], attributes, index) => Math.min(...gathered(x, attributes, index)),
  reduceProduct: ([x], attributes, index) => gathered(x, attributes, index).reduce((product, y) => product * y, 1),
  cumulativeSum: ([x], attributes, index) => {
    const axis = whole(attributes, "axis");
    const sign = attributes.reverse === true ? -1 : 1;
    const before = (k: number) => sign * (index[axis] - k) > 0 || (k === index[axis] && attributes.exclusive !== true);
    return sum(line(x, index, axis).filter((_, k) => before(k)));
  },
  matmul: ([a, b], _, index) => {
    const [leftVector, rightVector] = [a.shape.length === 1, b.shape.length === 1];
    const batch = index.slice(0, index.length - (leftVector ? 0 : 1) - (rightVector ? 0 : 1));
    const row = leftVector ? [] : [index[batch.length]];
    const column = rightVector ? [] : [index[index.length - 1]];
    const products = Array.from({ length: a.shape[a.shape.length - 1] }, (_, k) => {
      const left = leftVector ? [k] : [...batch, ...row, k];
      const right = rightVector ? [k] : [...batch, k, ...column];
      return at(a, left.slice(-a.shape.length)) * at(b, right.slice(-b.shape.length));
    });
    return sum(products);
  },
  convolution: ([x, w, bias], attributes, index) => {
    const [strides, pads, dilations] = ["strides", "pads", "dilations"].map((name) => list(attributes, name));
    const [batch, filter, ...place] = index;
    const perGroup = w.shape[0] / whole(attributes, "groups");
    let total = bias === undefined ? 0 : bias.data[filter];
    for (const [channel, ...tap] of indicesOf(w.shape.slice(1))) {
      const from = place.map((o, axis) => o * strides[axis] + tap[axis] * dilations[axis] - pads[axis]);
      const image = [batch, Math.floor(filter / perGroup) * w.shape[1] + channel, ...from];
      const inside = from.every((i, axis) => i >= 0 && i < x.shape[axis + 2]);
      total += inside ? at(x, image) * at(w, [filter, channel, ...tap]) : 0;
    }
    return total;
  },
  softmax: ([x, keep], attributes, index) => softmaxAt(x, keep, whole(attributes, "axis"), Math.E, index),
  softmaxBase2: ([x, keep], _, index) => softmaxAt(x, keep, x.shape.length - 1, 2, index),
  logSoftmax: ([x], attributes, index) => Math.log(softmaxAt(x, undefined, whole(attributes, "axis"), Math.E, index)),
  layerNorm: ([x], attributes, index) => {
    const row = line(x, index, x.shape.length - 1);
    const mean = sum(row) / row.length;
    const variance = sum(row.map((y) => (y - mean) ** 2)) / row.length;
    return (at(x, index) - mean) / Math.sqrt(variance + whole(attributes, "epsilon"));
  },
  rmsNorm: ([x, scale], attributes, index) => {
    if (scale !== undefined) {
      return at(x, index) * at(scale, [...index.slice(0, -1), 0]);
    }
    const row = line(x, index, x.shape.length - 1);
    const square = sum(row.map((y) => y ** 2)) / row.length;
    return at(x, index) / Math.sqrt(square + whole(attributes, "epsilon"));
  },
};

function softmaxAt(
  x: TensorValue,
  keep: TensorValue | undefined,
  axis: number,
  base: number,
  index: readonly number[],
): number {
  const kept = (at_: readonly number[]) => keep === undefined || at(keep, at_) !== 0;
  const powers = line(x, index, axis).map((y, k) => (kept(replaced(index, axis, k)) ? base ** y : 0));
  const total = sum(powers);
  return total === 0 ? 0 : powers[index[axis]] / total;
}

describe("by definition", () => {
  it.each(Object.keys(DEFINITIONS) as TensorOpName[])("%s", (op) => {
    const definition = DEFINITIONS[op] as Definition;
    fc.assert(
      fc.property(EXAMPLES[op], ({ args, attributes }) => {
        const value = apply(op, args, attributes);
        const wanted = indicesOf(value.shape).map((index) => definition(args, attributes, index));
        const far = wanted.findIndex((x, i) => !(Math.abs(value.data[i] - x) <= 1e-9 * Math.max(1, Math.abs(x))));
        expect(far, `element ${far} is ${value.data[far]}, not ${wanted[far]}`).toBe(-1);
      }),
      { numRuns: 60 },
    );
  });
});

describe("by each other", () => {
  it("reshape keeps the elements in order", () => {
    fc.assert(
      fc.property(EXAMPLES.reshape, ({ args: [x], attributes }) => {
        expect(apply("reshape", [x], attributes).data).toEqual(x.data);
      }),
    );
  });

  it("a scatter puts where a gather takes", () => {
    fc.assert(
      fc.property(EXAMPLES.scatterElements, ({ args: [x, indices, updates], attributes }) => {
        const taken = apply("gatherElements", [x, indices], attributes);
        expect(apply("scatterElements", [x, indices, taken], attributes)).toEqual(x);
        const put = apply("scatterElements", [x, indices, updates], attributes);
        const back = Array.from(apply("gatherElements", [put, indices], attributes).data);
        expect(back.every((value) => updates.data.includes(value))).toBe(true);
      }),
    );
    fc.assert(
      fc.property(EXAMPLES.scatterND, ({ args: [x, indices] }) => {
        const taken = apply("gatherND", [x, indices], { batch: 0 });
        expect(apply("scatterND", [x, indices, taken])).toEqual(x);
      }),
    );
  });

  it("argmax and topIndices find what reduceMaximum and topValues say, first or last", () => {
    fc.assert(
      fc.property(EXAMPLES.argmax, ({ args: [x], attributes }) => {
        const kept = { ...attributes, keep: true };
        const [largest, places] = [
          apply("topValues", [x], { axis: whole(kept, "axis"), count: 1, largest: true }),
          apply("argmax", [x], kept),
        ];
        expect(apply("gatherElements", [x, places], { axis: whole(kept, "axis") }).data).toEqual(largest.data);
        const smallest = apply("reduceMinimum", [x], { axes: [whole(kept, "axis")], keep: true });
        const least = apply("argmin", [x], kept);
        expect(apply("gatherElements", [x, least], { axis: whole(kept, "axis") }).data).toEqual(smallest.data);
      }),
    );
    const ties = tensor([4], [1, 3, 3, 1]);
    const at0 = { axis: 0, keep: false };
    expect([false, true].map((last) => apply("argmax", [ties], { ...at0, last }).data[0])).toEqual([1, 2]);
    expect([false, true].map((last) => apply("argmin", [ties], { ...at0, last }).data[0])).toEqual([0, 3]);
    expect(Array.from(apply("topIndices", [ties], { axis: 0, count: 4, largest: true }).data)).toEqual([1, 2, 0, 3]);
    expect(Array.from(apply("topValues", [ties], { axis: 0, count: 3, largest: false }).data)).toEqual([1, 1, 3]);
  });

  it("topValues are sorted, and topIndices tell where they are", () => {
    fc.assert(
      fc.property(EXAMPLES.topValues, ({ args: [x], attributes }) => {
        const values = apply("topValues", [x], attributes);
        const indices = apply("topIndices", [x], attributes);
        const { axis, largest } = attributes as { axis: number; largest: boolean };
        expect(apply("gatherElements", [x, indices], { axis }).data).toEqual(values.data);
        for (const index of indicesOf(values.shape).filter((each) => each[axis] > 0)) {
          const step = at(values, index) - at(values, replaced(index, axis, index[axis] - 1));
          expect(largest ? step <= 0 || values.shape[axis] === 1 : step >= 0).toBe(true);
        }
      }),
    );
  });
});

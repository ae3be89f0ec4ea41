/** Matrix product and convolution. */
import { broadcastStrides } from "../../shape.js";
import { type MultiplyReals, PLAIN, type RealProduct } from "../arithmetic.js";
import { MIXING } from "../traits.js";
import { broadcastShapes, doublesOf, integer, integers, refuse, type TensorOp, tensorOf, walk } from "../types.js";
import { sizeOf, type TensorType, type TensorValue } from "../value.js";

interface Product {
  readonly batch: readonly number[];
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  readonly shape: readonly number[];
}

/** numpy's rules: a vector on the left is a row, on the right a column, and its axis disappears from the result. */
function productOf(a: TensorType, b: TensorType): Product {
  refuse(a.shape.length === 0 || b.shape.length === 0, "matmul of a scalar");
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  const [rows, inner] = left.slice(-2);
  const [second, columns] = right.slice(-2);
  refuse(inner !== second, `matmul of [${a.shape.join(",")}] and [${b.shape.join(",")}]`);
  const batch = broadcastShapes(left.slice(0, -2), right.slice(0, -2));
  const shape = [...batch, ...(a.shape.length === 1 ? [] : [rows]), ...(b.shape.length === 1 ? [] : [columns])];
  return { batch, rows, inner, columns, shape };
}

const matmul: TensorOp = {
  traits: MIXING,
  doc: "numpy's matrix product, batch axes broadcast.",
  arity: [2, 2],
  attributes: {},
  infer: ([a, b]) => {
    refuse(a.dtype !== b.dtype, `types ${a.dtype} and ${b.dtype} differ`);
    return { dtype: a.dtype, shape: productOf(a, b).shape };
  },
  evaluate: ([a, b], _, type, { multiply, room } = PLAIN) => {
    const { batch, rows, inner, columns } = productOf(a, b);
    const [left, right] = [doublesOf(a.data), b.data];
    const places = sparsePlaces(left);
    const product = places !== undefined && allFinite(right) ? sparse(places) : multiply;
    const c = room(sizeOf(type.shape));
    const aStrides = matrixStrides(a.shape, batch, rows * inner);
    const bStrides = matrixStrides(b.shape, batch, inner * columns);
    const offsets: number[] = [];
    walk(batch, bStrides, 0, (_i, at) => offsets.push(at));
    walk(batch, aStrides, 0, (i, aAt) => {
      product({ c, cAt: i * rows * columns, a: left, aAt, b: right, bAt: offsets[i], rows, inner, columns });
    });
    return tensorOf(type, c);
  },
};

/** Strides over the broadcast batch, in elements; a vector has no batch axes. */
function matrixStrides(shape: readonly number[], batch: readonly number[], matrix: number): number[] {
  return broadcastStrides(shape.slice(0, -2), batch).map((stride) => stride * matrix);
}

/** Fewer elements than one in so many are not zero: one-hot rows. */
const SPARSE = 16;

/** Where a is not zero, in order; undefined where those are many. */
function sparsePlaces(a: Float64Array): readonly number[] | undefined {
  const places: number[] = [];
  const most = a.length / SPARSE;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== 0 && places.push(i) > most) {
      return undefined;
    }
  }
  return places;
}

const finite = new WeakMap<TensorValue["data"], boolean>();

/** Whether every number is finite; what was seen once is remembered, because weights meet many inputs. */
function allFinite(data: TensorValue["data"]): boolean {
  let known = finite.get(data);
  for (let i = 0; known === undefined; i++) {
    known = i === data.length ? true : data[i] - data[i] === 0 ? undefined : false;
  }
  finite.set(data, known);
  return known;
}

/** The same bits for finite b: 0·x changes no sum, because sums begin at +0 and so are never -0. */
function sparse(places: readonly number[]): MultiplyReals {
  return ({ c, cAt, a, aAt, b, bAt, rows, inner, columns }) => {
    c.fill(0, cAt, cAt + rows * columns);
    for (const place of places) {
      const [row, k] = [Math.floor((place - aAt) / inner), (place - aAt) % inner];
      if (row >= 0 && row < rows) {
        addScaled(c, cAt + row * columns, a[place], b, bAt + k * columns, columns);
      }
    }
  };
}

/** c += factor·b for adjacent elements. */
function addScaled(c: Float64Array, cAt: number, factor: number, b: RealProduct["b"], bAt: number, count: number) {
  for (let j = 0; j < count; j++) {
    c[cAt + j] += factor * b[bAt + j];
  }
}

const convolution: TensorOp = {
  traits: MIXING,
  doc: "Cross-correlation of x [N, C, …] with w [M, C/groups, …], plus bias [M]; pads are [begin…, end…].",
  arity: [2, 3],
  attributes: { strides: "integers", pads: "integers", dilations: "integers", groups: "integer" },
  infer: ([x, w], attributes) => {
    const rank = x.shape.length - 2;
    const [strides, pads, dilations] = ["strides", "pads", "dilations"].map((name) => integers(attributes, name));
    refuse(rank < 1 || w.shape.length !== x.shape.length, "a convolution needs an image and a kernel of one rank");
    refuse(
      strides.length !== rank || dilations.length !== rank || pads.length !== 2 * rank,
      "attributes per spatial axis",
    );
    refuse(w.shape[1] * integer(attributes, "groups") !== x.shape[1], "channels do not fit the kernel");
    const spatial = Array.from({ length: rank }, (_, i) => {
      const reach = (w.shape[i + 2] - 1) * dilations[i] + 1;
      return Math.floor((x.shape[i + 2] + pads[i] + pads[i + rank] - reach) / strides[i]) + 1;
    });
    refuse(
      spatial.some((n) => n < 0),
      "the kernel is larger than the image",
    );
    return { dtype: x.dtype, shape: [x.shape[0], w.shape[0], ...spatial] };
  },
  evaluate: ([x, w, bias], attributes, type) => {
    const rank = x.shape.length - 2;
    const [strides, pads, dilations] = ["strides", "pads", "dilations"].map((name) => integers(attributes, name));
    const groups = integer(attributes, "groups");
    const perGroup = w.shape[0] / groups;
    const image = sizeOf(x.shape.slice(2));
    const kernel = sizeOf(w.shape.slice(2));
    const data = new Float64Array(sizeOf(type.shape));
    const out = type.shape.slice(2);
    const places = placesOf(x.shape.slice(2), w.shape.slice(2), out, strides, pads.slice(0, rank), dilations);
    const positions = sizeOf(out);
    for (let at = 0; at < data.length; at++) {
      const position = at % positions;
      const channel = Math.floor(at / positions) % type.shape[1];
      const batch = Math.floor(at / positions / type.shape[1]);
      let sum = bias === undefined ? 0 : bias.data[channel];
      for (let c = 0; c < w.shape[1]; c++) {
        const plane = (batch * x.shape[1] + Math.floor(channel / perGroup) * w.shape[1] + c) * image;
        for (let k = 0; k < kernel; k++) {
          const place = places[position * kernel + k];
          sum += place < 0 ? 0 : x.data[plane + place] * w.data[(channel * w.shape[1] + c) * kernel + k];
        }
      }
      data[at] = sum;
    }
    return tensorOf(type, data);
  },
};

/** For every output position and kernel element, the flat image position it reads, or -1 in the padding. */
function placesOf(
  image: readonly number[],
  kernel: readonly number[],
  out: readonly number[],
  strides: readonly number[],
  pads: readonly number[],
  dilations: readonly number[],
): Int32Array {
  const places = new Int32Array(sizeOf(out) * sizeOf(kernel));
  const unravel = (flat: number, shape: readonly number[]) => {
    const index: number[] = [];
    for (let axis = shape.length - 1, rest = flat; axis >= 0; rest = Math.floor(rest / shape[axis--])) {
      index.unshift(rest % shape[axis]);
    }
    return index;
  };
  const size = sizeOf(kernel);
  for (let i = 0; i < places.length; i++) {
    const [o, k] = [unravel(Math.floor(i / size), out), unravel(i % size, kernel)];
    let flat = 0;
    for (let axis = 0; axis < image.length; axis++) {
      const at = o[axis] * strides[axis] + k[axis] * dilations[axis] - pads[axis];
      flat = flat < 0 || at < 0 || at >= image[axis] ? -1 : flat * image[axis] + at;
    }
    places[i] = flat;
  }
  return places;
}

export const LINEAR = { matmul, convolution } as const satisfies Record<string, TensorOp>;

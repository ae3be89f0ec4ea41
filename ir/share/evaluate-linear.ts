/** The meanings of the linear and bilinear ops (see evaluate.ts). Linear maps act on value and mask alike. */
import type { Attributes } from "../graph.js";
import { sizeOf } from "../tensor/value.js";
import { matrixShape } from "./bilinear.js";
import { both, type Meaning, make, pick, repeat, signedOf, viewIndices } from "./meaning.js";
import { broadcastShape, integersOf, takenParts, tensorOf } from "./rules.js";
import type { ShareValue, WordType } from "./types.js";

/** A public integer tensor as words, repeated to a shape. */
function constantWords(attributes: Parameters<typeof tensorOf>[0], shape: readonly number[]): BigUint64Array {
  const tensor = tensorOf(attributes, "value");
  const words = BigUint64Array.from(tensor.data, (value) => BigInt.asUintN(64, BigInt(value)));
  return repeat(words, tensor.shape, shape);
}

function combine(sign: bigint): Meaning {
  return ([x, y], _attributes, type) => {
    const join = (a: BigUint64Array, b: BigUint64Array) => {
      const right = repeat(b, y.type.shape, type.shape);
      return repeat(a, x.type.shape, type.shape).map((word, i) => word + sign * right[i]);
    };
    return make(type, join(x.value, y.value), x.mask && y.mask ? join(x.mask, y.mask) : undefined);
  };
}

/** The owner's words and masks are the caller's to supply: here both come from the mask source. */
const fresh: Meaning = (_args, attributes, type, masks) => {
  const count = sizeOf(type.shape);
  return make(type, masks(count), attributes.owner === "public" ? undefined : masks(count));
};

function sumOverAxis(words: BigUint64Array, shape: readonly number[], axis: number): BigUint64Array {
  const inner = sizeOf(shape.slice(axis + 1));
  const result = new BigUint64Array(sizeOf(shape.toSpliced(axis, 1)));
  for (let i = 0; i < words.length; i++) {
    result[Math.floor(i / (inner * shape[axis])) * inner + (i % inner)] += words[i];
  }
  return result;
}

function concatenate(parts: readonly ShareValue[], words: readonly BigUint64Array[], axis: number): BigUint64Array {
  const outer = sizeOf(parts[0].type.shape.slice(0, axis));
  const lengths = parts.map((part) => sizeOf(part.type.shape.slice(axis)));
  const result = new BigUint64Array(outer * lengths.reduce((sum, n) => sum + n, 0));
  let at = 0;
  for (let row = 0; row < outer; row++) {
    parts.forEach((_, i) => {
      result.set(words[i].subarray(row * lengths[i], (row + 1) * lengths[i]), at);
      at += lengths[i];
    });
  }
  return result;
}

export const LINEAR_MEANING = {
  input: fresh,
  constant: (_args, attributes, type) => make(type, constantWords(attributes, type.shape)),
  keep: ([x]) => x,
  add: combine(1n),
  subtract: combine(-1n),
  negate: ([x], _attributes, type) => both(x, type, (words) => words.map((word) => -word)),
  sum: ([x], { axis }, type) => both(x, type, (words) => sumOverAxis(words, x.type.shape, axis as number)),
  addConstant: ([x], attributes, type) => {
    const constant = constantWords(attributes, type.shape);
    const moved = both(x, type, (words) => repeat(words, x.type.shape, type.shape));
    return make(
      type,
      moved.value.map((word, i) => word + constant[i]),
      moved.mask,
    );
  },
  multiplyConstant: ([x], attributes, type) => {
    const constant = constantWords(attributes, type.shape);
    return both(x, type, (words) => repeat(words, x.type.shape, type.shape).map((word, i) => word * constant[i]));
  },
  shiftLeft: ([x], { bits }, type) => both(x, type, (words) => words.map((word) => word << BigInt(bits as number))),
  relabel: ([x], _attributes, type) => both(x, type, (words) => words),
  reduce: ([x], _attributes, type) => both(x, type, (words) => words),
  /** round(x / 2^bits). The mask of the roles' result is the sum of two shifted masks: here the shifted sum. */
  rescale: ([x], { bits }, type) => {
    const shift = BigInt(bits as number);
    const half = shift === 0n ? 0n : 1n << (shift - 1n);
    const ring = (x.type as WordType).ring;
    const rounded = x.value.map((word) => BigInt.asUintN(ring, word + half) >> shift);
    return make(
      type,
      rounded,
      x.mask?.map((word) => word >> shift),
    );
  },
  toAdditive: ([x], _attributes, type) => make(type, x.value),
  reshape: ([x], _attributes, type) => both(x, type, (words) => words),
  view: ([x], attributes, type) => {
    const indices = viewIndices(
      type.shape,
      integersOf(attributes, "strides", -Infinity, Infinity),
      attributes.offset as number,
    );
    return both(x, type, (words) => pick(words, indices));
  },
  concatenate: (args, { axis }, type) => {
    const values = args.map((part) => part.value);
    const masks = args.flatMap((part) => part.mask ?? []);
    const joined = concatenate(args, values, axis as number);
    return make(type, joined, masks.length === 0 ? undefined : concatenate(args, masks, axis as number));
  },
  take: ([x], { indices }, type) => {
    const list = indices as readonly number[];
    const parts = takenParts(list.length, type.shape);
    const size = sizeOf(x.type.shape) / parts;
    const all = Array.from({ length: parts }, (_, part) => list.map((at) => (at < 0 ? -1 : part * size + at))).flat();
    return both(x, type, (words) => pick(words, all));
  },
} as const satisfies Record<string, Meaning>;

/** The words of one product: two values and the type of the result. */
type Product = (x: ShareValue, y: ShareValue, attributes: Attributes, shape: readonly number[]) => BigUint64Array;

/** The sum of the products of the pairs, without its `drop` lowest bits, rounded. */
function sumOfProducts(product: Product): Meaning {
  return (args, attributes, type) => {
    const sum = new BigUint64Array(sizeOf(type.shape));
    for (let pair = 0; pair < args.length; pair += 2) {
      product(args[pair], args[pair + 1], attributes, type.shape).forEach((word, i) => {
        sum[i] += word;
      });
    }
    return make(type, dropped(sum, attributes));
  };
}

/** Words without their `drop` lowest bits, rounded. */
function dropped(words: BigUint64Array, attributes: Attributes): BigUint64Array {
  const drop = BigInt(attributes.drop as number);
  const half = drop === 0n ? 0n : 1n << (drop - 1n);
  return words.map((word) => BigInt.asUintN(64, word + half) >> drop);
}

/** Squares are of signed values: the result's ring may be larger than x's. */
export const squares: Meaning = ([x], attributes, type) => {
  const words = BigUint64Array.from(signedOf(x), (word) => BigInt.asUintN(64, word * word));
  return make(type, dropped(sumOverAxis(words, x.type.shape, x.type.shape.length - 1), attributes));
};

const multiplied: Product = (x, y, _attributes, shape) => {
  const right = repeat(y.value, y.type.shape, shape);
  return repeat(x.value, x.type.shape, shape).map((word, i) => word * right[i]);
};

const matrixProduct: Product = (x, y, { keep }) => {
  const { batch, rows, inner, columns } = matrixShape(x.type.shape, y.type.shape);
  const a = repeat(x.value, x.type.shape, [...batch, rows, inner]);
  const b = repeat(y.value, y.type.shape, [...batch, inner, columns]);
  const wanted = keep as readonly number[];
  const cells = wanted.length === 0 ? Array.from({ length: rows * columns }, (_, i) => i) : wanted;
  const result: bigint[] = [];
  for (let matrix = 0; matrix < sizeOf(batch); matrix++) {
    for (const cell of cells) {
      const left = (matrix * rows + Math.floor(cell / columns)) * inner;
      const right = matrix * inner * columns + (cell % columns);
      let sum = 0n;
      for (let i = 0; i < inner; i++) {
        sum += a[left + i] * b[right + i * columns];
      }
      result.push(BigInt.asUintN(64, sum));
    }
  }
  return BigUint64Array.from(result);
};

const dotted: Product = (x, y) => {
  const shape = broadcastShape(x.type.shape, y.type.shape);
  const right = repeat(y.value, y.type.shape, shape);
  const products = repeat(x.value, x.type.shape, shape).map((word, i) => word * right[i]);
  return sumOverAxis(products, shape, shape.length - 1);
};

export const BILINEAR_MEANING = {
  multiply: sumOfProducts(multiplied),
  timesPublic: ([x, y], attributes, type) => make(type, multiplied(x, y, attributes, type.shape)),
  matmul: sumOfProducts(matrixProduct),
  dot: sumOfProducts(dotted),
} as const satisfies Record<string, Meaning>;

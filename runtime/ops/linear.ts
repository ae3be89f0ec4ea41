/**
 * Roles of the local ops: no message, so nothing to leak. A linear map with public integer coefficients acts on every
 * component alike; a public constant is added to m (masked) or to P1's share (additive) alone.
 */
import { componentBytes, componentsOf, elementBytes, heldBytes } from "../../ir/share/index.js";
import { takenParts } from "../../ir/share/rules.js";
import { sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import { openInput } from "./inputs.js";
import {
  broadcastTo,
  countOf,
  factorAt,
  type LocalRoles,
  type Phase,
  type RoleContext,
  type RoleStep,
  ringOf,
  second,
} from "./role.js";

type Component = (to: number, from: readonly number[]) => void | Promise<void>;

/** Calls `work` for each component that this party holds: its place in the result and in the arguments. */
async function eachComponent(context: RoleContext, step: RoleStep, work: Component): Promise<void> {
  const count = componentsOf(step.type, context.party === "P0" ? "P0" : "P12");
  for (let i = 0; i < count; i++) {
    await work(
      step.offset + i * componentBytes(step.type),
      step.args.map((value) => value.offset + i * componentBytes(value.type)),
    );
  }
}

/** The same phase for the three parties. */
function everyone(phase: Phase): LocalRoles {
  return { P0: phase, P1: phase, P2: phase };
}

/** Element-wise on the components of two arguments, broadcast. */
function pairwise(kernel: "add" | "subtract"): LocalRoles {
  return everyone((context, step) =>
    eachComponent(context, step, async (to, offsets) => {
      const [a, b] = [0, 1].map((i) => broadcastTo(context, offsets[i], step.args[i].type.shape, step.type.shape, 8));
      await context.kernels[kernel](to, await a, await b, countOf(step));
    }),
  );
}

/** A copy of every component, unless the plan gave the result its argument's place. */
const copy = everyone((context, step) =>
  eachComponent(context, step, (to, [from]) =>
    to === from ? undefined : context.kernels.copy(to, from, countOf(step) * elementBytes(step.type)),
  ),
);

/** Whether public constants are this party's to add: m at P1 and P2, the first additive share at P1. */
function addsConstants({ party }: RoleContext, step: RoleStep): boolean {
  return party === "P1" || (party === "P2" && step.type.kind === "masked");
}

/** A constant's words in the result's shape. */
function constantWords(context: RoleContext, value: TensorValue, shape: readonly number[]): number | Promise<number> {
  return broadcastTo(context, context.constant(value), value.shape, shape, 8);
}

const addConstant: Phase = async (context, step) => {
  const value = step.attributes.value as TensorValue;
  const { shape } = step.type;
  let component = 0;
  await eachComponent(context, step, async (to, [from]) => {
    const source = await broadcastTo(context, from, step.args[0].type.shape, shape, 8);
    if (component++ > 0 || !addsConstants(context, step)) {
      await context.kernels.copy(to, source, 8 * countOf(step));
    } else if (value.data.length === 1) {
      await context.kernels.addWord(to, source, BigInt(value.data[0]), countOf(step));
    } else {
      await context.kernels.add(to, source, await constantWords(context, value, shape), countOf(step));
    }
  });
};

const multiplyConstant: Phase = async (context, step) => {
  const value = step.attributes.value as TensorValue;
  const { shape } = step.type;
  const { kernels } = context;
  const factor = value.data.length === 1 ? undefined : await constantWords(context, value, shape);
  await eachComponent(context, step, async (to, [from]) => {
    const source = await broadcastTo(context, from, step.args[0].type.shape, shape, 8);
    if (factor === undefined) {
      await kernels.multiplyWord(to, source, BigInt(value.data[0]), countOf(step));
    } else {
      const right = factorAt(factor);
      await kernels.multiply(to, 0, factorAt(source), right, countOf(step));
    }
  });
};

/**
 * Masked: P1, P2: (m - 2^(s-1)) >> s and mask >> s; P0: both masks >> s. Additive: P1, P2: (share + 2^(s-1)) >> s. What
 * the components are more than the value is a multiple of 2^k, and that is nothing in the ring of k - s bits.
 */
const rescale: Phase = async (context, step) => {
  const bits = step.attributes.bits as number;
  const ring = ringOf(step.args[0]);
  const half = bits === 0 ? 0n : 1n << BigInt(bits - 1);
  let offset = step.type.kind === "additive" ? half : context.party === "P0" ? 0n : -half;
  await eachComponent(context, step, async (to, [from]) => {
    if (bits > 0) {
      await context.kernels.rescale(to, from, ring, bits, offset, countOf(step));
    } else if (to !== from) {
      await context.kernels.copy(to, from, 8 * countOf(step));
    }
    offset = 0n;
  });
};

const sum: Phase = (context, step) =>
  eachComponent(context, step, (to, [from]) => {
    const { shape } = step.args[0].type;
    const axis = step.attributes.axis as number;
    const [outer, inner] = [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis + 1))];
    return context.kernels.sumAxis(to, from, outer, shape[axis], inner);
  });

function bytesOf(step: RoleStep): 1 | 8 {
  return elementBytes(step.type) === 8 ? 8 : 1;
}

const view: Phase = (context, step) =>
  eachComponent(context, step, (to, [from]) => {
    const { shape, strides, offset } = step.attributes as { shape: number[]; strides: number[]; offset: number };
    return context.kernels.view(to, from, bytesOf(step), shape, strides, offset);
  });

/** Indices that one call of the kernel takes at least, where the parts of an argument are read alike. */
const TAKEN_AT_ONCE = 1 << 16;

/** `count` parts of `size` elements each, read alike: the indices in all of them. */
function repeated(indices: readonly number[], count: number, size: number): Int32Array {
  const all = new Int32Array(count * indices.length);
  for (let part = 0; part < count; part++) {
    for (let i = 0; i < indices.length; i++) {
      all[part * indices.length + i] = indices[i] < 0 ? -1 : part * size + indices[i];
    }
  }
  return all;
}

const take: Phase = (context, step) => {
  const indices = step.attributes.indices as readonly number[];
  const parts = takenParts(indices.length, step.type.shape);
  const size = sizeOf(step.args[0].type.shape) / parts;
  const together = Math.max(1, Math.min(parts, Math.floor(TAKEN_AT_ONCE / Math.max(1, indices.length))));
  const bytes = bytesOf(step);
  const full = repeated(indices, together, size);
  return eachComponent(context, step, async (to, [from]) => {
    for (let part = 0; part < parts; part += together) {
      const some = parts - part < together ? full.subarray(0, (parts - part) * indices.length) : full;
      await context.kernels.take(to + part * indices.length * bytes, from + part * size * bytes, bytes, some);
    }
  });
};

/** The flat indices that bring the arguments, laid one after the other, into the order of their concatenation. */
function interleave(lengths: readonly number[], outer: number): Int32Array {
  const starts = lengths.map((_, i) => outer * lengths.slice(0, i).reduce((total, n) => total + n, 0));
  const indices = new Int32Array(outer * lengths.reduce((total, n) => total + n, 0));
  let at = 0;
  for (let row = 0; row < outer; row++) {
    for (const [i, length] of lengths.entries()) {
      for (let j = 0; j < length; j++) {
        indices[at++] = starts[i] + row * length + j;
      }
    }
  }
  return indices;
}

const concatenate: Phase = (context, step) => {
  const { kernels, scratch } = context;
  const axis = step.attributes.axis as number;
  const outer = sizeOf(step.type.shape.slice(0, axis));
  const lengths = step.args.map((value) => sizeOf(value.type.shape.slice(axis)));
  const bytes = bytesOf(step);
  return eachComponent(context, step, async (to, offsets) => {
    const joined = outer === 1 ? to : scratch.take(countOf(step) * bytes);
    let at = joined;
    for (const [i, offset] of offsets.entries()) {
      await kernels.copy(at, offset, outer * lengths[i] * bytes);
      at += outer * lengths[i] * bytes;
    }
    if (outer === 1) {
      return;
    }
    const [length, parts] = [lengths[0], lengths.length];
    if (lengths.every((each) => each === length)) {
      await kernels.view(to, joined, bytes, [outer, parts, length], [length, outer * length, 1], 0);
    } else {
      await kernels.take(to, joined, bytes, interleave(lengths, outer));
    }
  });
};

/** P1: m - mask1. P2: -mask2. P0 holds nothing of an additive value. */
const toAdditive: LocalRoles = {
  P1: ({ kernels }, step) => kernels.subtract(step.offset, step.args[0].offset, second(step.args[0]), countOf(step)),
  P2: ({ kernels }, step) => kernels.multiplyWord(step.offset, second(step.args[0]), -1n, countOf(step)),
};

function bytesHeld({ party }: RoleContext, { type }: RoleStep): number {
  return heldBytes(type, party === "P0" ? "P0" : "P12");
}

/**
 * What an owner gave, or what the parties kept themselves: every component as it was. What has no place is read where
 * it is multiplied.
 */
const input = everyone(async (context, step) => {
  const { owner, name } = step.attributes as { owner: string; name: string };
  if (owner === "state") {
    return context.recall(name, step.offset, bytesHeld(context, step));
  }
  const count = countOf(step);
  if (step.streamed === undefined) {
    const read = await openInput(context, step.attributes, count);
    await read({ from: 0, count }, { first: step.offset, second: second(step) });
  }
});

/** Each party puts its own components aside: nothing is sent, so nothing can be learnt. */
const keep = everyone(async (context, step) => {
  await copy[context.party]?.(context, step);
  context.keep(step.attributes.name as string, step.offset, bytesHeld(context, step));
});

/** m is the public value, both masks are 0. */
const constant: Phase = async (context, step) => {
  const { kernels, party } = context;
  await kernels.zero(second(step), 8 * countOf(step));
  await (party === "P0"
    ? kernels.zero(step.offset, 8 * countOf(step))
    : kernels.copy(step.offset, context.constant(step.attributes.value as TensorValue), 8 * countOf(step)));
};

export const LINEAR_ROLES = {
  input,
  constant: everyone(constant),
  keep,
  add: pairwise("add"),
  subtract: pairwise("subtract"),
  negate: everyone((context, step) =>
    eachComponent(context, step, (to, [from]) => context.kernels.multiplyWord(to, from, -1n, countOf(step))),
  ),
  sum: everyone(sum),
  addConstant: everyone(addConstant),
  multiplyConstant: everyone(multiplyConstant),
  shiftLeft: everyone((context, step) =>
    eachComponent(context, step, (to, [from]) =>
      context.kernels.shiftLeft(to, from, step.attributes.bits as number, countOf(step)),
    ),
  ),
  relabel: copy,
  reduce: copy,
  rescale: everyone(rescale),
  toAdditive,
  reshape: copy,
  view: everyone(view),
  concatenate: everyone(concatenate),
  take: everyone(take),
} as const satisfies Record<string, LocalRoles>;

export { copy as COPY_ROLES };

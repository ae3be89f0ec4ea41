/**
 * The same model in the clear by onnxruntime, on one thread: what a private answer is compared with. An optional peer:
 * where it is not installed there is nothing to compare with, and nothing else is missing.
 */
import type { TensorType, TensorValue } from "../../ir/tensor/value.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { best, type Spent, spent } from "./spent.js";

export type Inputs = ReadonlyMap<string, TensorValue>;

const RUNS = 5;

/** Named by a variable: users who want the comparison install it themselves. */
const PEER = "onnxruntime-node";

/** What is used of onnxruntime-node. */
interface Onnxruntime {
  readonly InferenceSession: {
    create(
      path: string,
      options: { readonly intraOpNumThreads: number; readonly interOpNumThreads: number },
    ): Promise<{
      readonly inputNames: readonly string[];
      run(feeds: Readonly<Record<string, unknown>>): Promise<unknown>;
      release(): Promise<void>;
    }>;
  };
  readonly Tensor: new (type: "int64", data: BigInt64Array, shape: readonly number[]) => unknown;
}

/** Ids all over the vocabulary, nothing masked, one segment. */
export function inputsFor(types: ReadonlyMap<string, TensorType>): Inputs {
  return new Map(
    [...types].map(([name, { dtype, shape }]) => {
      const element = (i: number) => (/mask/.test(name) ? 1 : /type/.test(name) ? 0 : (7 * i) % 1000);
      return [name, { dtype, shape, data: Float64Array.from({ length: sizeOf(shape) }, (_, i) => element(i)) }];
    }),
  );
}

/** One inference by onnxruntime, on one thread, the fastest of several; undefined where it is not installed. */
export async function byOnnxruntime(path: string, inputs: Inputs): Promise<Spent | undefined> {
  const runtime = await (import(PEER) as Promise<Onnxruntime>).catch(() => undefined);
  if (runtime === undefined) {
    return undefined;
  }
  const session = await runtime.InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const feeds = Object.fromEntries(
    session.inputNames.map((name) => {
      const { data, shape } = inputs.get(name)!;
      return [name, new runtime.Tensor("int64", BigInt64Array.from(data as Float64Array, BigInt), [...shape])];
    }),
  );
  await session.run(feeds);
  const fastest = await best(RUNS, () => spent(() => session.run(feeds)));
  await session.release();
  return fastest;
}

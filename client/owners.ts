/**
 * The two owners of a local session: their programs are run in the clear (weights folded, ids made one-hot), then both
 * share what the plan binds, over their own links.
 */

import type { LoadedPlan } from "../formats/plan-file.js";
import { type Diagnostic, fail } from "../ir/diagnostics.js";
import type { Plan } from "../ir/plan/types.js";
import type { WordType } from "../ir/share/types.js";
import { evaluateGraph, outputsInTurn, type Rooms, type WeightStore } from "../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../ir/tensor/value.js";
import { sizeOf } from "../ir/tensor/value.js";
import { loadKernels } from "../runtime/kernels/load.js";
import type { RandomSource } from "../runtime/keys.js";
import { combineReports, type Measured, MeteredTransport, type OwnerReport } from "../runtime/measurement.js";
import type { Trace } from "../runtime/trace.js";
import type { PartyName, Transport } from "../runtime/transport.js";
import { inputLayouts, type Source } from "../runtime/weight-store.js";
import { checkedData } from "./checks.js";
import { type ClientOptions, type RevealLayout, receiveOutputs, receiveReports, shareInputs } from "./client.js";
import { Sharer } from "./sharing.js";

export interface OwnerValues {
  /** The value of a share input of a source, by the input's name. */
  value(source: Source, name: string): TensorValue;
}

/** The inputs that the plan's data owner gives, with their types. */
export function dataInputs(plan: Plan): ReadonlyMap<string, TensorType> {
  return new Map(
    plan.owners.data.nodes
      .filter(({ op }) => op === "input")
      .map(({ attributes, type }) => [attributes.name as string, type] as const),
  );
}

/** Runs both owners' programs in the clear. */
export function runOwners(plan: Plan, inputs: ReadonlyMap<string, TensorValue>, weights: WeightStore): OwnerValues {
  return runDataOwner(plan, inputs, runModelOwner(plan, weights));
}

/** The outputs of the model owner's program: the same for every input. */
export function runModelOwner(plan: Plan, weights: WeightStore): ReadonlyMap<string, TensorValue> {
  const { multiplyReals: multiply } = loadKernels();
  return evaluateGraph(plan.owners.model, new Map(), weights, { multiply });
}

/** The longest that the program holds up the process's other work, beyond a node's own time, in milliseconds. */
const TURN = 50;

/** The same for whoever must hear signals meanwhile: a large model's program takes seconds. Rejects with the reason. */
export async function runModelOwnerInTurns(
  { owners: { model } }: { readonly owners: Pick<Plan["owners"], "model"> },
  weights: WeightStore,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, TensorValue>> {
  const values = new Map<string, TensorValue>();
  for await (const [name, value] of modelOwnerInTurn(model, weights, signal)) {
    values.set(name, value);
  }
  return values;
}

/**
 * One output of the program after the other: a large model's are never in memory together. With `rooms`, each is good
 * until the next one is asked for.
 */
export function modelOwnerInTurn(
  program: Plan["owners"]["model"],
  weights: WeightStore,
  signal: AbortSignal | undefined,
  rooms?: Rooms,
): AsyncGenerator<readonly [name: string, value: TensorValue]> {
  const { multiplyReals: multiply } = loadKernels();
  let since = performance.now();
  const turn = (): Promise<void> | undefined => {
    if (performance.now() - since < TURN) {
      return undefined;
    }
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        since = performance.now();
        return signal?.aborted === true ? reject(signal.reason) : resolve();
      });
    });
  };
  return outputsInTurn(program, new Map(), weights, { multiply, rooms }, turn);
}

/** Runs the data owner's program, beside what the model owner's has given. E0202: bad inputs. */
export function runDataOwner(
  plan: Plan,
  inputs: ReadonlyMap<string, TensorValue>,
  model: ReadonlyMap<string, TensorValue>,
): OwnerValues {
  const data = checkedData(plan, inputs);
  return {
    value: (source, name) => {
      const binding = plan.bindings.find(({ input, owner }) => input === name && owner === source);
      const value = binding && (source === "model" ? model.get(binding.output) : data.get(binding.output));
      if (value === undefined) {
        throw new Error(`the plan binds no value to the ${source} input '${name}'`);
      }
      return value;
    },
  };
}

/** What the plan reveals, in the order in which the evaluators send it. */
export function revealLayouts({ steps }: Plan): readonly RevealLayout[] {
  return steps
    .filter(({ op }) => op === "reveal" || op === "verdict")
    .map(({ op, attributes, type }) => {
      const elements = sizeOf(type.shape);
      if (op === "verdict") {
        return { name: undefined, ring: 1, fraction: 0, shape: type.shape, elements };
      }
      const { ring, fraction, shape } = type as WordType;
      return { name: attributes.name as string, ring, fraction, shape, elements };
    });
}

export interface LocalOwnersOptions extends LoadedPlan {
  readonly values: OwnerValues;
  readonly random: RandomSource;
  readonly onProgress?: (done: number, all: number) => void;
  /** A sharing of the weights that many sessions use. */
  readonly kept?: KeptSharing;
  /** Whether outputs are given although the overflow guard says that they mean nothing: for reports. */
  readonly showAlarmed?: boolean | undefined;
}

/** What the data owner is told instead of an answer. */
const WITHHELD: Diagnostic = {
  code: "E0503",
  what: "the answer is withheld: some value left the range that the plan was made for",
  why: "the overflow guard cannot say which; what came back would have been noise that looks like an answer",
  fix: "compile again with --calibrate on inputs like this one; pumac simulate --report names the node",
};

/**
 * One sharing of a model for many sessions, as models are shared in earnest: once. The first session makes it, later
 * ones send the same seeds and masked words again, so the owner's streams are read again at the same positions: of the
 * same values, so that nobody learns more. For one plan and one model.
 */
export class KeptSharing {
  private readonly drawn: Uint8Array[] = [];
  private readonly words = new Map<string, Promise<Uint8Array>>();

  /** A source that draws what it drew for the first session. */
  replay(random: RandomSource): RandomSource {
    let next = 0;
    return (count) => {
      this.drawn[next] ??= random(count);
      return this.drawn[next++];
    };
  }

  /** A sharer that masks each input once. */
  sharer(inner: Sharer): Pick<Sharer, "check" | "mask"> {
    return {
      check: async (layout, value) => {
        if (!this.words.has(layout.name)) {
          await inner.check(layout, value);
        }
      },
      mask: (layout, value, seeds) => {
        const words = this.words.get(layout.name) ?? inner.mask(layout, value, seeds);
        this.words.set(layout.name, words);
        return words;
      },
    };
  }
}

/** What the data owner's part ends with. */
export interface Ending {
  readonly plan: Plan;
  /** What the owners sent. */
  readonly owners: readonly OwnerReport[];
  /** When the session began (performance.now). */
  readonly started: number;
  readonly showAlarmed?: boolean | undefined;
  /** Who took part; all three without. */
  readonly parties?: readonly PartyName[] | undefined;
  /** Hears what the parties say that they did when. */
  readonly onTraces?: ((traces: ReadonlyMap<PartyName, Trace>) => void) | undefined;
}

/** The data owner's answer, and what the session cost. E0503 where the overflow guard says that it means nothing. */
export async function receiveAnswer(data: Transport, sharer: Sharer, ending: Ending): Promise<SessionResult> {
  const { outputs, alarm } = await receiveOutputs(data, revealLayouts(ending.plan), sharer);
  // The parties end as after any other answer: only the data owner learns of an alarm.
  const reports = await receiveReports(data, ending.parties);
  ending.onTraces?.(
    new Map([...reports].flatMap(([party, { trace }]) => (trace === undefined ? [] : [[party, trace]]))),
  );
  if (alarm && ending.showAlarmed !== true) {
    throw fail(WITHHELD);
  }
  const seconds = (performance.now() - ending.started) / 1000;
  return { alarm, outputs, measured: combineReports(reports, ending.owners, seconds) };
}

export interface SessionResult {
  /** Set by the overflow guard, where outputs are given nevertheless. */
  readonly alarm: boolean;
  readonly outputs: ReadonlyMap<string, TensorValue>;
  readonly measured: Measured;
}

/** Both owners' parts of a session, to its end. The transports are the model owner's and the data owner's. */
export async function runOwnerClients(
  transports: { readonly model: Transport; readonly data: Transport },
  options: LocalOwnersOptions,
): Promise<SessionResult> {
  const started = performance.now();
  const { plan, digest, values, random, kept } = options;
  const { create } = loadKernels();
  // One for each owner: they share at the same time, and an arena serves one caller.
  const sharers = { model: new Sharer(create), data: new Sharer(create) };
  const clientOf = (owner: "model" | "data"): ClientOptions => ({
    owner,
    plan: digest,
    layouts: inputLayouts(plan.steps, owner),
    publicLayouts: owner === "data" ? inputLayouts(plan.steps, "public") : [],
    values: (name, source) => values.value(source, name),
    sharer: kept !== undefined && owner === "model" ? kept.sharer(sharers.model) : sharers[owner],
    random: kept !== undefined && owner === "model" ? kept.replay(random) : random,
    ...(owner === "model" && options.onProgress !== undefined ? { onProgress: options.onProgress } : {}),
  });
  try {
    const data = new MeteredTransport(transports.data);
    const owners = await Promise.all([
      shareInputs(new MeteredTransport(transports.model), clientOf("model")),
      shareInputs(data, clientOf("data")),
    ]);
    return await receiveAnswer(data, sharers.data, { ...options, owners, started });
  } finally {
    sharers.model.close();
    sharers.data.close();
  }
}

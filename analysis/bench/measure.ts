/**
 * A private answer beside the same model in the clear, in one run on one machine, so that what the machine is doing
 * otherwise hits both: three party processes against onnxruntime on one thread. What is compared is CPU seconds over
 * all processes, which other programs disturb less than wall time: of the run alone, of a first session with all that
 * an owner does and shares before it, and of a further answer by parties that keep the weights.
 */
import { readFileSync } from "node:fs";
import { askTrio, startTrio, type Trio } from "../../client/local/trio.js";
import { dataInputs, runDataOwner, type SessionResult } from "../../client/owners.js";
import { askParties } from "../../client/remote/ask.js";
import { type CompileOptions, compileModel } from "../../compiler/compile.js";
import { openModel } from "../../compiler/weights.js";
import { type LoadedPlan, savePlan } from "../../formats/plan-file.js";
import type { WeightStore } from "../../ir/tensor/index.js";
import type { Measured } from "../../runtime/measurement.js";
import { PARTIES } from "../../runtime/transport.js";
import { costOf } from "../cost.js";
import { plainModel } from "../data/evaluation.js";
import { byOnnxruntime, type Inputs, inputsFor } from "./clear.js";
import { type Spent, spent } from "./spent.js";

export interface BenchedModel {
  readonly name: string;
  /** The model's file, and the options that it is compiled with. */
  readonly path: string;
  readonly options: CompileOptions;
  /** Where its plan is written. */
  readonly planPath: string;
  /** Sessions of either kind; the cheapest counts. */
  readonly sessions: number;
}

/** What a kind of answer took, all processes from their start; `online`: the parties' own wall seconds of the run. */
export interface Taken extends Spent {
  readonly online: number;
}

/** A row of the bench. Ratios are of CPU seconds to onnxruntime's; null where that is not installed. */
export interface BenchLine {
  readonly name: string;
  readonly onnxruntime: Spent | null;
  readonly ratio: Readonly<Record<"run" | "session" | "again", number | null>>;
  readonly run: Taken;
  readonly session: Taken;
  readonly again: Taken;
  readonly rounds: number;
  readonly bytes: Measured["bytes"];
  /** Whether the overflow guard withholds the answer, as it may where ranges are assumed: the cost is the same. */
  readonly alarm: boolean;
  /** The largest difference of an output's number from the plain model's, and the largest number there. */
  readonly difference: { readonly most: number; readonly of: number };
  /** Peaks of the parties' processes, in bytes, in the first session; and what was predicted. */
  readonly memory: Measured["memory"];
  readonly predicted: Readonly<Record<"memory", Measured["memory"]>> & { readonly seconds: number };
}

/** No session of a benchmark takes longer, in milliseconds. */
const TIMEOUT = 600_000;

export async function bench(model: BenchedModel): Promise<BenchLine> {
  const { plan, weights } = await compileModel(model.path, model.options);
  const loaded = savePlan(model.planPath, plan, { model: model.path });
  const inputs = inputsFor(dataInputs(plan));
  const clear = await byOnnxruntime(model.path, inputs);
  const first = await firstSessions(model, loaded, weights, inputs);
  const again = await furtherAnswers(model, loaded, weights, inputs);
  const difference = differenceOf(
    first.outputs,
    plainModel(await openModel({ model: model.path }, plan), plan)(inputs),
  );
  const ratio = ({ cpu }: Spent): number | null => (clear === undefined ? null : cpu / clear.cpu);
  const cost = costOf(plan);
  return {
    name: model.name,
    onnxruntime: clear ?? null,
    ratio: { run: ratio(first.run), session: ratio(first.session), again: ratio(again) },
    ...{ run: first.run, session: first.session, again },
    rounds: first.measured.rounds,
    bytes: first.measured.bytes,
    alarm: first.alarm,
    difference,
    memory: first.memory,
    predicted: { memory: cost.memory, seconds: cost.seconds.estimate },
  };
}

function least<T>(all: readonly T[], of: (each: T) => number): T {
  return all.reduce((one, other) => (of(other) < of(one) ? other : one));
}

function sumOf(each: Measured["cpu"]): number {
  return PARTIES.reduce((sum, party) => sum + (each[party] ?? 0), 0);
}

function cpuOf(usage: Awaited<ReturnType<Trio["usage"]>>): number {
  return PARTIES.reduce((sum, party) => sum + usage[party].cpu, 0);
}

type Outputs = SessionResult["outputs"];

function differenceOf(found: Outputs, plain: Outputs): BenchLine["difference"] {
  let [most, of] = [0, 0];
  for (const [name, { data }] of plain) {
    data.forEach((x, i) => {
      most = Math.max(most, Math.abs(x - found.get(name)!.data[i]));
      of = Math.max(of, Math.abs(x));
    });
  }
  return { most, of };
}

interface First {
  readonly run: Taken;
  readonly session: Taken;
  readonly measured: Measured;
  readonly memory: Measured["memory"];
  readonly outputs: Outputs;
  readonly alarm: boolean;
}

/** Sessions of three processes that are started for them: owners' programs, starting, sharing, the run. */
async function firstSessions(
  { planPath, sessions }: BenchedModel,
  loaded: LoadedPlan,
  weights: WeightStore,
  inputs: Inputs,
): Promise<First> {
  const all: First[] = [];
  for (let i = 0; i < sessions; i++) {
    let result: SessionResult | undefined;
    let usage: Awaited<ReturnType<Trio["usage"]>> | undefined;
    const own = await spent(async () => {
      const plans = [{ ...loaded, weights, file: readFileSync(planPath) }];
      const trio = await startTrio({ plans, timeout: TIMEOUT });
      try {
        const options = { timeout: TIMEOUT, showAlarmed: true };
        result = await askTrio(loaded, runDataOwner(loaded.plan, inputs, new Map()), trio, options);
        usage = await trio.usage();
      } finally {
        trio.close();
      }
    });
    const { measured, alarm, outputs } = result!;
    const { online } = measured.seconds;
    const { P0, P1, P2 } = usage!;
    all.push({
      run: { wall: online, cpu: sumOf(measured.cpuOfRun), online },
      session: { wall: own.wall, cpu: own.cpu + cpuOf(usage!), online },
      ...{ measured, alarm, outputs, memory: { P0: P0.memory, P1: P1.memory, P2: P2.memory } },
    });
  }
  const run = least(all, (each) => each.run.cpu);
  return { ...least(all, (each) => each.session.cpu), run: run.run };
}

/** Answers by parties that stay and keep the weights; the first, which looks at what they keep, does not count. */
async function furtherAnswers(
  { planPath, sessions }: BenchedModel,
  loaded: LoadedPlan,
  weights: WeightStore,
  inputs: Inputs,
): Promise<Taken> {
  const plans = [{ ...loaded, weights, file: readFileSync(planPath) }];
  const all: Taken[] = [];
  const { topology, usage, close } = await startTrio({ plans, timeout: TIMEOUT });
  try {
    for (let i = 0; i <= sessions; i++) {
      let result: SessionResult | undefined;
      const before = cpuOf(await usage());
      const own = await spent(async () => {
        const values = runDataOwner(loaded.plan, inputs, new Map());
        result = await askParties(loaded, values, { topology, timeout: TIMEOUT, showAlarmed: true });
      });
      const { online } = result!.measured.seconds;
      all.push({ wall: own.wall, cpu: own.cpu + cpuOf(await usage()) - before, online });
    }
  } finally {
    close();
  }
  return least(all.slice(1), ({ cpu }) => cpu);
}

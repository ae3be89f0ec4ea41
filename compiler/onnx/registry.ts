/**
 * All operators by domain, and why the best-known others are not among them. Built from the families explicitly.
 */
import type { OperatorFamily, OperatorRule } from "./call.js";
import { ATTENTION } from "./ops/attention.js";
import { CONTRIB } from "./ops/contrib.js";
import { CONTROL } from "./ops/control.js";
import { CREATION } from "./ops/creation.js";
import { ELEMENTWISE } from "./ops/elementwise.js";
import { INDEXING } from "./ops/indexing.js";
import { LINEAR } from "./ops/linear.js";
import { MOVEMENT } from "./ops/movement.js";
import { NORM } from "./ops/norm.js";
import { POOL } from "./ops/pool.js";
import { CONTRIB_QUANTISED, QUANTISED } from "./ops/quantised.js";
import { REDUCE } from "./ops/reduce.js";
import { RESIZE } from "./ops/resize.js";
import { SPECTRUM } from "./ops/spectrum.js";

const REGISTRY: Readonly<Record<string, OperatorFamily>> = {
  "": {
    ...ELEMENTWISE,
    ...MOVEMENT,
    ...INDEXING,
    ...CREATION,
    ...REDUCE,
    ...LINEAR,
    ...NORM,
    ...POOL,
    ...ATTENTION,
    ...CONTROL,
    ...QUANTISED,
    ...RESIZE,
    ...SPECTRUM,
  },
  "com.microsoft": { ...CONTRIB, ...CONTRIB_QUANTISED },
};

export function findRule(domain: string, opType: string): OperatorRule | undefined {
  const family = Object.hasOwn(REGISTRY, domain) ? REGISTRY[domain] : undefined;
  return family !== undefined && Object.hasOwn(family, opType) ? family[opType] : undefined;
}

interface Advice {
  readonly why: string;
  readonly fix: string;
}

const LOW_PRECISION: Advice = {
  why: "activations in few bits are not supported: the protocol has its own fixed point; weights in few bits are",
  fix: "quantise weights only (DequantizeLinear, MatMulNBits) or dynamically, or export in floats",
};
const RANDOM: Advice = {
  why: "it draws random numbers, and a plan is deterministic",
  fix: "export the model in evaluation mode, and sample outside of it",
};
const COLLECTION: Advice = {
  why: "sequence, optional, map and string types are not supported: a plan's values are tensors of fixed shape",
  fix: "export without tokenisation, lists or optional values in the graph",
};
const RECURRENT: Advice = {
  why: "recurrent networks are not supported: pumac compiles transformers",
  fix: "unroll the recurrence before export",
};
const LAYOUT: Advice = {
  why: "it is tied to one machine's memory layout",
  fix: "save the optimised model with ORT_ENABLE_EXTENDED instead of ORT_ENABLE_ALL",
};

const ADVICE: readonly { readonly match: RegExp; readonly advice: Advice }[] = [
  { match: /nchwc/, advice: LAYOUT },
  { match: /[Qq]uant|Integer|NBits|QLinear|^QAttention$|^QGemm$|BlockQuantized|Bnb4/, advice: LOW_PRECISION },
  { match: /^(Random|Multinomial|Bernoulli)/, advice: RANDOM },
  { match: /Sequence|Optional|^String|Regex|Tfidf|ZipMap|Tokenizer|LabelEncoder|DictVectorizer/, advice: COLLECTION },
  { match: /^(LSTM|GRU|RNN|Scan)$/, advice: RECURRENT },
];

/** Why an operator is not supported, and what to do. */
export function adviceFor(domain: string, opType: string): Advice {
  const found = ADVICE.find(({ match }) => match.test(opType) || match.test(domain));
  return (
    found?.advice ?? {
      why: "pumac has no rule for this operator, and the model has no function body for it",
      fix: "export with a standard exporter (torch.onnx or optimum), opset 14 to 23, without custom operators",
    }
  );
}

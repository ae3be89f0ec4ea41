/** Papers as data: what a plan's ops come from, for reports. */
import type { ShareOpName } from "../ir/share/index.js";

export interface Paper {
  readonly cite: string;
  readonly title: string;
  readonly where: string;
  /** What of it is used here. */
  readonly for: string;
  readonly ops: readonly ShareOpName[];
}

const PAPERS: readonly Paper[] = [
  {
    cite: "Chaudhari, Choudhury, Patra, Suresh",
    title: "ASTRA: High Throughput 3PC over Rings with Application to Secure Prediction",
    where: "CCSW 2019",
    for: "masked values, and products with a helper who deals the product of the masks",
    ops: ["multiply", "matmul", "dot", "remask"],
  },
  {
    cite: "Koti, Pancholi, Patra, Suresh",
    title: "SWIFT: Super-fast and Robust Privacy-Preserving Machine Learning",
    where: "USENIX Security 2021",
    for: "products of a bit and a number, bits to numbers",
    ops: ["timesBit", "timesBits", "toArithmetic"],
  },
  {
    cite: "Boura, Chillotti, Gama, Jetchev, Peceny, Petric",
    title: "High-Precision Privacy-Preserving Real-Valued Function Evaluation",
    where: "Financial Cryptography 2018",
    for: "functions as trigonometric series of a masked value",
    ops: ["series", "seriesTimes"],
  },
  {
    cite: "Kelkar, Le, Raykova, Seth",
    title: "Secure Poisson Regression",
    where: "USENIX Security 2022",
    for: "an exponential as the product of the powers of m and of the mask",
    ops: ["exponential"],
  },
  {
    cite: "Rathee, Rathee, Goli, Gupta, Sharma, Chandran, Rastogi",
    title: "SIRNN: A Math Library for Secure RNN Inference",
    where: "IEEE S&P 2021",
    for: "truncation into a smaller ring, and extension back",
    ops: ["rescale", "widen", "squares"],
  },
  {
    cite: "Patra, Schneider, Suresh, Yalame",
    title: "ABY2.0: Improved Mixed-Protocol Secure Two-Party Computation",
    where: "USENIX Security 2021",
    for: "one round for the AND of several bits",
    ops: ["conjunction"],
  },
  {
    cite: "Dong, Lu, Zheng, Wu, Zhao, Tan, Huang, Hong, Wei, Cheng",
    title: "PUMA: Secure Inference of LLaMA-7B in Five Minutes",
    where: "arXiv 2307.12533",
    for: "the setting: three semi-honest parties, honest majority",
    ops: ["input"],
  },
];

/** The papers behind the ops of a plan. */
export function papersOf(steps: readonly { readonly op: string }[]): readonly Paper[] {
  const used = new Set(steps.map(({ op }) => op));
  return PAPERS.filter(({ ops }) => ops.some((op) => used.has(op)));
}

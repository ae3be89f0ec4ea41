/**
 * Runs the passes over a model's tensor graph and cuts it into programs. The verifier runs on what the front end made
 * and after every pass; a violation is a bug of that pass and says so. No files here: whoever wants the graphs gets
 * the text of each that changed.
 */
import type { Graph } from "../ir/graph.js";
import { TENSOR } from "../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../ir/tensor/value.js";
import { print } from "../ir/text.js";
import { verify } from "../ir/verify.js";
import { TENSOR_PASSES } from "../passes/index.js";
import { type Placed, place } from "../passes/place.js";
import type { Publication } from "../passes/publish.js";
import { openInputs } from "../passes/uses.js";
import { hasSecretMeaning } from "./lower/index.js";

export interface PipelineOptions {
  /**
   * Whether the model's input of this name may be known to all. `use`: what all its uses are (a mask, positions, token
   * types), if they say nothing of the words. Default: those of such uses.
   */
  readonly isPublic?: (input: string, use: string | undefined) => boolean;
  /** Whether the model's input of this name is shared as it is given. */
  readonly isShared?: (input: string) => boolean;
  /** Whether the input of this name is what earlier runs kept. */
  readonly isKept?: (input: string) => boolean;
  /** Whether ranges will be measured on inputs that are given; default: no. */
  readonly measured?: boolean;
  /** Whether so many rounds less are worth so many bytes more, on the network that the plan is for; default: never. */
  readonly pays?: (rounds: number, bytes: number) => boolean;
  /** Which formulas compute the non-linear functions; default: fourier. */
  readonly profile?: "fourier" | "puma";
  /** Called with the text of the graph after each pass that changed it, and of the programs that `place` makes. */
  readonly dump?: (name: string, text: string) => void;
  /** Called for each rule that looked at a node and refused it. */
  readonly explain?: (pass: string, rule: string, where: string, why: string) => void;
}

/** What the passes make of a model's graph. */
export interface Compiled extends Placed {
  /** What of the model's file the plan shows, and the constants of the file that it does not. */
  readonly publication: Publication;
  /** What each input is used for that may be known to all by its uses. */
  readonly uses: ReadonlyMap<string, string>;
}

/** The secret program and the owners' programs of a model's graph. */
export function compileTensors(graph: Graph<TensorType>, options: PipelineOptions = {}): Compiled {
  const { dump, explain, profile = "fourier", isPublic = (_, use) => use !== undefined, measured = false } = options;
  check(graph, "the front end");
  dump?.("00-imported", print(graph, TENSOR));
  let current = graph;
  let publication: Publication = { graph, weights: new Map(), published: [] };
  TENSOR_PASSES.forEach((pass, index) => {
    const next = pass.run(current, {
      profile,
      onPublication: (made) => {
        publication = made;
      },
      measured,
      ...(options.pays && { pays: options.pays }),
      isPublic: (input) => isPublic(input, openInputs(publication.graph).get(input)),
      ...(explain && { explain: (rule: string, where: string, why: string) => explain(pass.name, rule, where, why) }),
    });
    if (next !== current) {
      check(next, `pass '${pass.name}'`);
      dump?.(`${String(index + 1).padStart(2, "0")}-${pass.name}`, print(next, TENSOR));
    }
    current = next;
  });
  const uses = openInputs(publication.graph);
  const placed = place(current, {
    isPublic: (input) => isPublic(input, uses.get(input)),
    splitMasks: true,
    hasSecretMeaning,
    ...(options.isShared && { isShared: options.isShared }),
    ...(options.isKept && { isKept: options.isKept }),
  });
  const number = String(TENSOR_PASSES.length + 1).padStart(2, "0");
  for (const [name, program] of Object.entries({ secret: placed.secret, model: placed.model, data: placed.data })) {
    check(program, `pass 'place' (${name})`);
    dump?.(`${number}-place-${name}`, print(program, TENSOR));
  }
  return { ...placed, publication, uses };
}

function check(graph: Graph<TensorType>, who: string): void {
  const violations = verify(graph, TENSOR);
  if (violations.length > 0) {
    throw new Error(`after ${who}:\n${violations.map(String).join("\n")}`);
  }
}

/** Weights of the model's file under the names that the passes gave them: constants that a plan may not show. */
export function constantWeights(graph: Graph<TensorType>): ReadonlyMap<string, TensorValue> {
  let weights: ReadonlyMap<string, TensorValue> = new Map();
  let current = graph;
  for (const { run, name } of TENSOR_PASSES) {
    current = run(current, {
      onPublication: (made) => {
        weights = made.weights;
      },
    });
    if (name === "publish") {
      break;
    }
  }
  return weights;
}

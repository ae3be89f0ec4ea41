/**
 * The table of passes over the tensor graph: what runs, in which order, and why it stands there. `place` comes after
 * them and cuts the graph (its result is not one graph). `compiler/pipeline.ts` runs the table, verifies after every
 * pass, and hands out the text of every graph that changed.
 */
import { approximate } from "./approximate.js";
import { canonicalise } from "./canonicalise.js";
import { centre } from "./centre.js";
import { type FoldOptions, fold } from "./fold.js";
import { fuse } from "./fuse.js";
import { halve } from "./halve.js";
import { narrow } from "./narrow.js";
import { type Publication, publish } from "./publish.js";
import type { RewriteOptions, TensorGraph } from "./rewriter.js";
import { settle } from "./settle.js";
import { type ShiftOptions, shift } from "./shift.js";
import { tabulate } from "./tabulate.js";

interface PassOptions extends RewriteOptions, ShiftOptions, FoldOptions {
  /** Which formulas compute the non-linear functions; default: fourier. */
  readonly profile?: "fourier" | "puma";
  /** Is told what of the model's file stays public, and which constants became weights. */
  readonly onPublication?: (publication: Publication) => void;
}

interface TensorPass {
  readonly name: string;
  /** Why it stands where it stands. */
  readonly why: string;
  /** The passes that must have run before. */
  readonly after: readonly string[];
  readonly run: (graph: TensorGraph, options: PassOptions) => TensorGraph;
}

export const TENSOR_PASSES: readonly TensorPass[] = [
  {
    name: "canonicalise",
    why: "first: every later pass is written against the normal form only",
    after: [],
    run: canonicalise,
  },
  {
    name: "fuse",
    why: "before anything that moves factors or rows: idioms share values that such moves would tear apart",
    after: ["canonicalise"],
    run: fuse,
  },
  {
    name: "publish",
    why: "after fuse, when only those constants are left that a plan would show; before all that moves weights",
    after: ["fuse"],
    run(graph, { onPublication }) {
      const publication = publish(graph);
      onPublication?.(publication);
      return publication.graph;
    },
  },
  {
    name: "narrow",
    why: "after fuse, because rows pass through a norm or a softmax but not through its parts",
    after: ["fuse", "publish"],
    run: narrow,
  },
  {
    name: "approximate",
    why: "after fuse, which finds the softmaxes; before settle, which draws the factor log2(e) into the weights",
    after: ["fuse"],
    run: (graph, { profile }) => approximate(graph, profile),
  },
  {
    name: "settle",
    why: "last before place: what it draws into owners' values is owners' work",
    after: ["approximate", "narrow"],
    run: settle,
  },
  {
    name: "centre",
    why: "after settle, which folds γ and β: what is left before a norm is sums of products with weights",
    after: ["settle"],
    run: centre,
  },
  {
    name: "trim",
    why: "after settle and centre, which leave γ and β to a residual branch of which only some rows may go on",
    after: ["centre"],
    run: narrow,
  },
  {
    name: "tabulate",
    why: "after centre, which makes an embedding's norm one of squares alone; before anything reads its scale",
    after: ["centre"],
    run: (graph, options) => (options.profile === "puma" ? graph : tabulate(graph, options)),
  },
  {
    name: "halve",
    why: "after centre, which makes the residual of a post-norm model the product that the linear half joins",
    after: ["centre"],
    run: (graph, options) => (options.profile === "puma" ? graph : halve(graph, options)),
  },
  {
    name: "fold",
    why: "after halve, when all that is drawn into weights is; before shift, which takes the mean from keys",
    after: ["settle", "centre", "halve"],
    run: (graph, options) => (options.profile === "puma" ? graph : fold(graph, options)),
  },
  {
    name: "shift",
    why: "last: what it subtracts from the keys is no weight of a product that others look for",
    after: ["settle", "centre", "halve", "fold"],
    run: shift,
  },
];

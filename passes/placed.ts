/** What `place` makes of a model's graph: three programs, and which output of which owner is which secret input. */
import type { TensorGraph } from "./rewriter.js";

export type Owner = "model" | "data" | "public";

/** An input of the secret program: the output of that name of an owner's program. Public ones are the data owner's. */
export interface Binding {
  readonly input: string;
  readonly owner: Owner;
  readonly output: string;
}

export interface Placed {
  readonly secret: TensorGraph;
  readonly model: TensorGraph;
  readonly data: TensorGraph;
  readonly bindings: readonly Binding[];
}

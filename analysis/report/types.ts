/** What a report says: the document `pumac.report/1`. */
import type { Plan } from "../../ir/plan/types.js";

export interface Errors {
  readonly maximum: number;
  readonly mean: number;
}

export interface NodeReport {
  /** The model's node, the tensor op there, and its layer. */
  readonly name: string;
  readonly op: string;
  readonly layer: string;
  readonly shape: readonly number[];
  /** Bits of the ring that holds the value and its fractional bits; null for truth values. */
  readonly ring: number | null;
  readonly fraction: number | null;
  /** The largest absolute value, in floating point. */
  readonly largest: number;
  readonly error: {
    /** Fixed point against float. */
    readonly fixed: Errors;
    /** The three roles against float. */
    readonly roles: Errors;
    /** The three roles against fixed point. */
    readonly drift: Errors;
    /** Fixed point against the op in float on the fixed-point arguments: what this node adds. */
    readonly own: Errors;
  };
  /** Bits between the largest value and what its ring, or a step that reads its range, holds; null where none does. */
  readonly headroom: number | null;
  readonly saturations: {
    /** Elements outside the range that the plan holds. */
    readonly range: number;
    /** Elements for which the formula does not hold. */
    readonly window: number;
  };
  /** Some elements, the worst among them: in float, by the roles. */
  readonly samples: readonly (readonly [float: number, roles: number])[];
  readonly bad: boolean;
}

export interface OutputReport {
  readonly name: string;
  readonly shape: readonly number[];
  /** Against the model as it was imported. */
  readonly error: { readonly fixed: Errors; readonly roles: Errors };
}

export interface Finding {
  /** Place of the node in `nodes`. */
  readonly node: number;
  readonly name: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
}

export interface AccuracyReport {
  readonly schema: "pumac.report/1";
  readonly plan: {
    readonly digest: string;
    readonly model: string;
    readonly profile: Plan["profile"];
    readonly shapes: Plan["shapes"];
  };
  /** A node is bad where the roles are off by more than this, relative above 1, or a value is saturated. */
  readonly tolerance: number;
  readonly outputs: readonly OutputReport[];
  /** In the order of the program. */
  readonly nodes: readonly NodeReport[];
  /** Nodes of the program without a value of their own in the plan: movements, and what is computed with others. */
  readonly notCompared: number;
  /** The first bad node, and what to change; null if all are good. */
  readonly first: Finding | null;
}

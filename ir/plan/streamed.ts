/**
 * Inputs that no party's arena need hold: a matrix that is only ever the right factor of matrix products can be read a
 * few rows at a time, masked words where they lie and masks out of their streams, in the moment in which it is
 * multiplied. A plan says so by giving it no place (-1). A model's largest values are of this kind.
 */
import type { Attributes } from "../graph.js";
import type { ShareType } from "../share/types.js";

interface Used {
  readonly op: string;
  readonly args: readonly number[];
  readonly attributes: Attributes;
  readonly type: ShareType;
}

/** Which steps are inputs that may be read where they are multiplied. */
export function streamable(steps: readonly Used[]): readonly boolean[] {
  const can = steps.map(
    ({ op, attributes, type }) =>
      op === "input" && (attributes.owner === "model" || attributes.owner === "data") && type.shape.length === 2,
  );
  for (const { op, args } of steps) {
    args.forEach((argument, i) => {
      can[argument] &&= op === "matmul" && i % 2 === 1;
    });
  }
  return can;
}

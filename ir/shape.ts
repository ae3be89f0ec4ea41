/** Arithmetic on shapes that every room needs: equality, row-major strides, and numpy's broadcast. */

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

/** Row-major strides in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  for (let i = shape.length - 1, step = 1; i >= 0; step *= shape[i--]) {
    strides[i] = step;
  }
  return strides;
}

/** The shape to which numpy broadcasts all of these, or undefined where they do not fit. */
export function jointShape(...shapes: readonly (readonly number[])[]): number[] | undefined {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const joint = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (const [axis, size] of shape.entries()) {
      const at = rank - shape.length + axis;
      if (size !== 1 && joint[at] !== 1 && size !== joint[at]) {
        return undefined;
      }
      joint[at] = size === 1 ? joint[at] : size;
    }
  }
  return joint;
}

/** Strides that read a tensor of shape `from` as if broadcast to `to`: 0 along repeated axes. */
export function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const own = stridesOf(from);
  const missing = to.length - from.length;
  return to.map((_, i) => (i < missing || from[i - missing] === 1 ? 0 : own[i - missing]));
}

/** The index along each axis of a flat position, for people: `1, 0, 3`. */
export function indexAt(flat: number, shape: readonly number[]): string {
  const index: number[] = [];
  let rest = flat;
  for (const size of [...shape].reverse()) {
    index.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return index.join(", ");
}

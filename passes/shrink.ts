/** Constants without repetition: exporters write masks and ones at full size where one element says it all. */
import { sameShape } from "../ir/shape.js";
import { sizeOf, type TensorValue } from "../ir/tensor/value.js";

/** The smallest tensor that broadcasts to this one: itself, or one without the axes in which it does not vary. */
export function shrink(value: TensorValue): TensorValue {
  if (value.shape.length === 0 || value.data.length === 0) {
    return value;
  }
  let shape: number[] = [...value.shape];
  let data: ArrayLike<number> = value.data;
  for (let axis = 0; axis < shape.length; axis++) {
    const inner = sizeOf(shape.slice(axis + 1));
    const size = shape[axis];
    if (size > 1 && repeats(data, size, inner)) {
      const source: ArrayLike<number> = data;
      const outer = sizeOf(shape.slice(0, axis));
      data = Float64Array.from(
        { length: outer * inner },
        (_, i) => source[Math.floor(i / inner) * size * inner + (i % inner)],
      );
      shape[axis] = 1;
    }
  }
  const lead = shape.findIndex((size) => size !== 1);
  shape = lead < 0 ? [] : shape.slice(lead);
  const changed = !sameShape(shape, value.shape);
  return changed ? { ...value, shape, data: Float64Array.from(data) } : value;
}

function repeats(data: ArrayLike<number>, size: number, inner: number): boolean {
  for (let i = 0; i < data.length; i++) {
    const first = i - (Math.floor(i / inner) % size) * inner;
    if (!Object.is(data[i], data[first])) {
      return false;
    }
  }
  return true;
}

/**
 * Long lists of integers as arithmetic runs: start, step and count of each. The lists that say what a causal mask keeps
 * are a run or two for every row. The runs of a list are always the same ones (the longest from the left), so that a
 * plan has one form on file.
 */

/** Lists up to this length are written as they are. */
const SHORT_LIST = 64;
/** Numbers that all lists of a file may have together, equal ones counted once. */
const MOST_NUMBERS = 1 << 26;

/** The runs of a list, flat; undefined for a list that is short or no shorter this way. */
export function runsOf(list: readonly number[]): readonly number[] | undefined {
  if (list.length <= SHORT_LIST) {
    return undefined;
  }
  const runs: number[] = [];
  for (let i = 0; i < list.length; ) {
    const step = i + 1 < list.length ? list[i + 1] - list[i] : 0;
    let end = i + 1;
    while (end < list.length && list[end] - list[end - 1] === step) {
      end++;
    }
    runs.push(list[i], end - i === 1 ? 0 : step, end - i);
    if (runs.length >= list.length) {
      return undefined;
    }
    i = end;
  }
  return runs;
}

/** The lists of one file: equal ones are one array. */
export class Lists {
  private readonly known = new Map<string, readonly number[]>();
  private count = 0;

  /** The list that runs say. Throws for what no list is written as, and for more numbers than a plan may have. */
  from(runs: readonly number[]): readonly number[] {
    const key = runs.join();
    const known = this.known.get(key);
    if (known !== undefined) {
      return known;
    }
    const list: number[] = [];
    for (let i = 0; i < runs.length; i += 3) {
      const [start, step, count] = [runs[i], runs[i + 1], runs[i + 2]];
      this.count += count;
      if (!(count >= 1) || !(this.count <= MOST_NUMBERS)) {
        throw new Error("a list of integers is malformed, or too long");
      }
      for (let k = 0; k < count; k++) {
        list.push(start + k * step);
      }
    }
    this.known.set(key, list);
    return list;
  }
}

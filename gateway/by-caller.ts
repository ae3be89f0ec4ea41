/**
 * What waits, by caller. Callers take turns, so that who asks much delays the others by one piece, not by all of his.
 */
export class ByCaller<T> {
  /** In the order in which callers are next. */
  private readonly waiting = new Map<string, T[]>();

  get size(): number {
    return [...this.waiting.values()].reduce((sum, { length }) => sum + length, 0);
  }

  push(caller: string, item: T): void {
    this.waiting.set(caller, [...(this.waiting.get(caller) ?? []), item]);
  }

  /** The next one; its caller is the last one then. */
  shift(): T | undefined {
    const [first] = this.waiting;
    if (first === undefined) {
      return undefined;
    }
    const [caller, [item, ...rest]] = first;
    this.waiting.delete(caller);
    if (rest.length > 0) {
      this.waiting.set(caller, rest);
    }
    return item;
  }

  /** Takes one out; the caller's place stays where others of his wait. */
  remove(caller: string, item: T): void {
    const others = (this.waiting.get(caller) ?? []).filter((each) => each !== item);
    if (others.length > 0) {
      this.waiting.set(caller, others);
    } else {
      this.waiting.delete(caller);
    }
  }

  /** All that waits, which waits no more. */
  clear(): readonly T[] {
    const all = [...this.waiting.values()].flat();
    this.waiting.clear();
    return all;
  }
}

/** What the simulation of parties has in one hand: whether the disk is full, and the keys that streams are made of. */

/** Whether writing fails. */
export const disk = { isFull: false };

/** Keys by who makes a stream of them, and how many: a key that makes two has its positions used twice. */
export const keys = new Map<string, number>();

export function noteKey(who: string, key: Uint8Array): void {
  const name = `${who} ${Buffer.from(key).toString("hex")}`;
  keys.set(name, (keys.get(name) ?? 0) + 1);
}

type Write = (target: unknown, content: string | Uint8Array, ...rest: readonly unknown[]) => unknown;

/** A function that writes, on this disk: one that is full takes what still fits. */
export function onDisk(write: Write): Write {
  return (target, content, ...rest) => {
    if (!disk.isFull) {
      return write(target, content, ...rest);
    }
    const [offset, length, position] = rest;
    if (typeof offset === "number" && typeof length === "number") {
      write(target, content, offset, length >> 1, position);
    } else {
      write(target, content.slice(0, content.length >> 1), ...rest);
    }
    throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  };
}

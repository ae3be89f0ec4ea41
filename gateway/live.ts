/** What happens now, for whoever looks at the page: masked words as they leave this machine, or reach a party here. */

/** Masked words on their way. */
export interface Glimpse {
  /** Who got them: a party, and on a trial on one machine from whom. */
  readonly at: "P0" | "P1" | "P2" | "sent";
  readonly from: string;
  /** In this session so far. */
  readonly bytes: number;
  readonly rounds: number;
  /** The first of them, in hexadecimal. */
  readonly words: string;
}

/** So many pages may look on at once. */
const MOST = 8;
const SHOWN = 24;

export class Live {
  private readonly listeners = new Set<(glimpse: Glimpse) => void>();

  /** Begins to listen; gives what ends it, or nothing where too many do. */
  listen(listener: (glimpse: Glimpse) => void): (() => void) | undefined {
    if (this.listeners.size >= MOST) {
      return undefined;
    }
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  show(glimpse: Omit<Glimpse, "words"> & { readonly words: Uint8Array }): void {
    const words = Buffer.from(glimpse.words.subarray(0, SHOWN)).toString("hex");
    this.listeners.forEach((listener) => void listener({ ...glimpse, words }));
  }
}

/** Texts that end what is written, and are not written: what may be the beginning of one is held back. */

export class Stops {
  private text = "";
  private shown = 0;
  private isOver = false;

  constructor(private readonly stops: readonly string[]) {}

  /** Whether a stop was written. */
  get over(): boolean {
    return this.isOver;
  }

  /** Whether something is held back, which a stop may begin with. */
  get holds(): boolean {
    return !this.isOver && this.shown < this.text.length;
  }

  /** Takes a piece; what may be shown now. */
  push(piece: string): string {
    this.text += piece;
    const found = this.stops.map((stop) => this.text.indexOf(stop)).filter((at) => at >= 0);
    this.isOver = found.length > 0;
    return this.show(this.isOver ? Math.min(...found) : this.text.length - this.held());
  }

  /** No more is written: what was held back. */
  end(): string {
    return this.isOver ? "" : this.show(this.text.length);
  }

  private show(to: number): string {
    const piece = this.text.slice(this.shown, to);
    this.shown = Math.max(this.shown, to);
    return piece;
  }

  /** The length of the longest end of the text with which a stop begins. */
  private held(): number {
    const most = Math.max(0, ...this.stops.map(({ length }) => length - 1));
    for (let length = Math.min(most, this.text.length); length > 0; length--) {
      const end = this.text.slice(-length);
      if (this.stops.some((stop) => stop.startsWith(end))) {
        return length;
      }
    }
    return 0;
  }
}

/**
 * What one party keeps of secret values between the runs of a session: its components of named masked values, as its
 * arena held them. P0 has the two masks, P1 and P2 m and one mask: none of them learns more by keeping what it had.
 * It lives in memory only, a run that fails changes nothing of it, and it is wiped when the session ends.
 */

export class SecretState {
  private readonly kept = new Map<string, Uint8Array>();
  private readonly coming = new Map<string, Uint8Array>();

  /** Fills a place with what is kept under a name: zeros, the public value 0, where nothing is yet. */
  recall(name: string, to: Uint8Array): void {
    const bytes = this.kept.get(name);
    if (bytes !== undefined && bytes.length !== to.length) {
      throw new Error(`'${name}' is kept in ${bytes.length} bytes, and read in ${to.length}`);
    }
    bytes === undefined ? to.fill(0) : to.set(bytes);
  }

  /** Keeps bytes under a name from the end of this run on. */
  keep(name: string, bytes: Uint8Array): void {
    this.coming.set(name, bytes);
  }

  /** The run has ended: what it kept takes the place of what was kept before. */
  commit(): void {
    for (const [name, bytes] of this.coming) {
      this.kept.get(name)?.fill(0);
      this.kept.set(name, bytes);
    }
    this.coming.clear();
  }

  /** Nothing of it stays in memory. */
  wipe(): void {
    for (const bytes of [...this.kept.values(), ...this.coming.values()]) {
      bytes.fill(0);
    }
    this.kept.clear();
    this.coming.clear();
  }
}

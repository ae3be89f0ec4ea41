/** A command of the README's tour and the lines that the page shows below it. */
export interface Shown {
  readonly command: string;
  readonly output: readonly string[];
}

export interface Block {
  readonly from: number;
  readonly length: number;
  readonly commands: readonly Shown[];
}

export function tourOf(page: string): readonly Block[];
export function runTour(blocks: readonly Block[]): readonly (readonly (readonly string[])[])[];
export function shortened(shown: readonly string[], printed: readonly string[]): readonly string[];
export function steady(line: string): string;

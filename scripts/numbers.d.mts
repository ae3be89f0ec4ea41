/** Types of numbers.mjs. */
export interface Numbers {
  readonly name: string;
  readonly tokens: number;
  readonly rounds: number;
  readonly bytes: { readonly total: number; readonly online: number; readonly input: number };
  readonly seconds: { readonly lan: number; readonly wan: number };
}

export function readNumbers(): readonly Numbers[];
export function measureNumbers(known: readonly Numbers[]): readonly Numbers[];
export function tableOf(numbers: readonly Numbers[]): string;
export function withTable(page: string, numbers: readonly Numbers[]): string;

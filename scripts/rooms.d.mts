/** A folder of the repository, what it may import besides itself, and whether users are given it. */
export interface Room {
  readonly name: string;
  readonly imports: readonly string[];
  readonly ships: boolean;
}

export const ROOMS: readonly Room[];

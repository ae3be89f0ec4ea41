/**
 * The rooms of ARCHITECTURE.md: what each may import besides itself, and whether it is translated into dist/ and given
 * to users. The one list: the build reads it, and test/tidy holds the imports, tsconfig*.json and ./pumac to it.
 * A path belongs to the room with the longest name that it begins with; the library is a room of one file.
 */

const INNER = [
  { name: "ir", imports: [], ships: true },
  { name: "passes", imports: ["ir"], ships: true },
  { name: "formats", imports: ["ir"], ships: true },
  { name: "compiler", imports: ["passes", "models", "formats", "ir"], ships: true },
  { name: "models", imports: ["formats", "ir"], ships: true },
  { name: "runtime", imports: ["ir"], ships: true },
  { name: "party", imports: ["runtime", "formats", "ir"], ships: true },
  { name: "client", imports: ["runtime", "formats", "ir"], ships: true },
  { name: "gateway", imports: ["client", "formats", "ir"], ships: true },
  { name: "analysis", imports: ["client", "compiler", "passes", "runtime", "formats", "ir"], ships: true },
];

const inner = INNER.map(({ name }) => name);
const library = "index.ts";

export const ROOMS = [
  ...INNER,
  { name: library, imports: ["compiler", "analysis", "client", "runtime", "formats", "ir"], ships: true },
  { name: "cli", imports: [...inner, library], ships: true },
  { name: "bench", imports: [...inner, library], ships: false },
  { name: "scripts", imports: [], ships: false },
  { name: "test", imports: [...inner, library, "bench", "scripts"], ships: false },
  // Only the tests of the command line itself may import it.
  { name: "test/cli", imports: [...inner, library, "bench", "scripts", "cli", "test"], ships: false },
  { name: "test/processes", imports: [...inner, library, "bench", "scripts", "cli", "test"], ships: false },
];

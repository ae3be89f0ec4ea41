/** Names that nobody knows, as errors: all at once, each with the known names that are nearest to it. */
import type { Diagnostic } from "./diagnostics.js";

const MOST_NAMES = 3;
/** Names of a model with more than this are not listed when none is near. */
const MOST_LISTED = 12;

/** E0201 for every name that is not known. `kind` says what it should have been: "input of the model". */
export function unknownNames(
  option: string,
  kind: string,
  given: readonly string[],
  known: readonly string[],
): readonly Diagnostic[] {
  return [...new Set(given)]
    .filter((name) => !known.includes(name))
    .map((name) => ({ code: "E0201", what: `${option}: there is no ${kind} '${name}'`, fix: adviceFor(name, known) }));
}

function adviceFor(name: string, known: readonly string[]): string {
  if (known.length === 0) {
    return "leave it out: there are none";
  }
  const near = known
    .map((each) => ({ each, distance: editDistance(name.toLowerCase(), each.toLowerCase()) }))
    .filter(({ each, distance }) => distance <= Math.max(name.length, each.length) / 2)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, MOST_NAMES)
    .map(({ each }) => each);
  const more = known.length > MOST_LISTED ? ", …" : "";
  return near.length > 0
    ? `did you mean ${near.join(" or ")}?`
    : `known are ${known.slice(0, MOST_LISTED).join(", ")}${more}`;
}

/** Letters to put in, take out or change, at least (Levenshtein 1966). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + (a[i] === b[j] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}

/** Runs once before the tests: what the process tests start is what the sources say. */
import { buildIfStale } from "./workspace.mjs";

export function setup() {
  buildIfStale();
}

/**
 * Who may import whom, for dependency-cruiser: the arrows of scripts/rooms.mjs, no circles, nothing that users are given
 * needs a development dependency, and what decides a plan reaches out of the process by no module.
 */
import { ROOMS } from "./rooms.mjs";

/** Modules that reach out of the process; compile time may not. */
const OUTSIDE = "net|tls|http|http2|https|dgram|dns|child_process|cluster|readline|tty|worker_threads";

/** The rooms that decide a plan's bytes. */
const COMPILE_TIME = "^(ir|passes|formats|compiler|models)/";

/** A room is a folder, or one file. */
function beginningOf(name) {
  return name.endsWith(".ts") ? `^${name.replace(".", "\\.")}$` : `^${name}/`;
}

/** The paths of a room: not those of a room inside it. */
function pathsOf(name) {
  const inner = ROOMS.map((room) => room.name).filter((other) => other.startsWith(`${name}/`));
  return { path: beginningOf(name), pathNot: inner.map(beginningOf) };
}

const arrows = ROOMS.map(({ name, imports }) => ({
  name: `${name} may not import`,
  severity: "error",
  from: pathsOf(name),
  to: { dependencyTypes: ["local"], pathNot: [name, ...imports].map(beginningOf) },
}));

export const configuration = {
  forbidden: [
    ...arrows,
    { name: "cannot be found", severity: "error", from: {}, to: { couldNotResolve: true } },
    { name: "circle", severity: "error", from: {}, to: { circular: true } },
    {
      name: "needs at users' what is here for development only",
      severity: "error",
      from: { path: ROOMS.filter(({ ships }) => ships).map(({ name }) => beginningOf(name)) },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
    {
      name: "not at compile time",
      severity: "error",
      from: { path: COMPILE_TIME },
      to: { dependencyTypes: ["core"], path: `^(node:)?(${OUTSIDE})(/|$)` },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: "node_modules",
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "node"] },
  },
};

/**
 * What an owner remembers of plans that were seen to be of its model: the plan's digest with a digest of the weights,
 * in the owner's own state folder (XDG_STATE_HOME, or ~/.local/state), readable by the owner alone. A note beside a
 * plan would prove nothing: whoever forges the plan forges the note.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { folderOf } from "../formats/checkpoint.js";
import type { ModelFiles } from "../formats/plan-file.js";
import type { Plan } from "../ir/plan/types.js";
import { Rooms, type WeightStore } from "../ir/tensor/index.js";

interface Verification {
  /** SHA-256 of the weights that the plan reads; never leaves this folder. */
  readonly weights: string;
  /** Sizes and times of the files that they were in: where these are the same, nothing is read again. */
  readonly files: string;
}

/** What is known of a plan and the weights: nothing, that they belong together, or that other weights do. */
export type Standing = "unknown" | "verified" | "others";

export function standingOf(digest: string, plan: Plan, files: ModelFiles, weights: WeightStore): Standing {
  const known = read(digest);
  if (known === undefined) {
    return "unknown";
  }
  const given = weightsDigest(plan, weights);
  if (known.weights !== given) {
    return "others";
  }
  note(digest, { weights: given, files: filesDigest(files) });
  return "verified";
}

/** Whether the plan was seen to be of these very files, which have not changed since: nothing is read. */
export function isRemembered(digest: string, files: ModelFiles): boolean {
  return read(digest)?.files === filesDigest(files);
}

/** Notes that the plan is of these weights. What cannot be written is not remembered. */
export function remember(digest: string, plan: Plan, files: ModelFiles, weights: WeightStore): void {
  note(digest, { weights: weightsDigest(plan, weights), files: filesDigest(files) });
}

function note(digest: string, verification: Verification): void {
  const [path, fresh] = [pathOf(digest), `${pathOf(digest)}.${process.pid}`];
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(fresh, JSON.stringify(verification), { mode: 0o600 });
    renameSync(fresh, path);
  } catch {
    // A read-only home: the plan is verified again the next time.
  }
}

function pathOf(digest: string): string {
  const state = process.env.XDG_STATE_HOME ?? join(homedir(), ".local", "state");
  return join(state, "pumac", "verified", `${digest}.json`);
}

function read(digest: string): Verification | undefined {
  try {
    const { weights, files } = JSON.parse(readFileSync(pathOf(digest), "utf8")) as Partial<Verification>;
    return typeof weights === "string" && typeof files === "string" ? { weights, files } : undefined;
  } catch {
    return undefined;
  }
}

/** Sizes and times of all that lies in the folders of the model's files: external data and shards are there. */
function filesDigest({ model, weights }: ModelFiles): string {
  const hash = createHash("sha256")
    .update(model)
    .update("\0")
    .update(weights ?? "");
  for (const folder of new Set([model, weights ?? model].map(folderOf))) {
    for (const name of readdirSync(folder).sort()) {
      const { size, mtimeMs, ino } = statSync(join(folder, name), { throwIfNoEntry: false }) ?? {};
      hash.update(`\0${name} ${size} ${mtimeMs} ${ino}`);
    }
  }
  return hash.digest("hex");
}

/** SHA-256 of the weights that a plan reads; it stays with their owner. */
export function weightsDigest(plan: Plan, store: WeightStore, rooms = new Rooms()): string {
  const hash = createHash("sha256");
  const names = plan.owners.model.nodes.flatMap(({ op, attributes }) => (op === "parameter" ? [attributes.name] : []));
  for (const name of [...new Set(names as string[])].sort()) {
    const { dtype, shape, data } = store.read(name, (count) => rooms.takeSingle(count));
    hash.update(`\0${name} ${dtype} ${shape} ${data.BYTES_PER_ELEMENT}\0`);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    rooms.give(data);
  }
  return hash.digest("hex");
}

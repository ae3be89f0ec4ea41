/**
 * The plans that a party has, and those that its operator has approved: it runs these only. Files in the party's state
 * folder, so that `pumac trust` and the daemon need not talk: what is approved or revoked counts from the next request.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { array, object, optional, parse, string } from "valibot";
import { writeWhole } from "../formats/files.js";
import { loadPlan } from "../formats/plan-file.js";
import { fail } from "../ir/diagnostics.js";
import { decodePlan, digestIn } from "../ir/plan/codec.js";
import { type Plan, programsOf } from "../ir/plan/types.js";
import { longestFrame, withoutNotes } from "../runtime/party.js";
import { type KeyedWeight, weightsOf } from "../runtime/requests.js";
import { type InputLayout, inputLayouts } from "../runtime/weight-store.js";

export type Standing = "approved" | "unapproved" | "unknown";

/** A plan as a session needs it. */
export interface HeldPlan {
  readonly digest: string;
  readonly plan: Plan;
  /** Of the plan's own program, then of its parts. */
  readonly programs: readonly HeldProgram[];
  readonly longestFrame: number;
}

/** What a program takes of the owners. */
export interface HeldProgram {
  readonly plan: Plan;
  readonly weights: readonly KeyedWeight[];
  readonly data: readonly InputLayout[];
  readonly public: readonly InputLayout[];
}

/** So many plans that nobody has approved are kept for the operator to look at. */
const MOST_UNAPPROVED = 64;
/** So many plans are kept ready. */
export const MOST_READY = 16;

export class PlanShelf {
  private readonly folder: string;
  private readonly trustFile: string;
  private readonly ready = new Map<string, HeldPlan>();

  constructor(state: string) {
    this.folder = join(state, "plans");
    this.trustFile = join(state, "trust.json");
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
  }

  /** Whether the plan's file is here, and whether it may run. */
  standing(digest: string): Standing {
    return !this.has(digest) ? "unknown" : this.approved().includes(digest) ? "approved" : "unapproved";
  }

  has(digest: string): boolean {
    return existsSync(this.fileOf(digest));
  }

  /** Every digest that is known, with where it stands. */
  list(): ReadonlyMap<string, Standing> {
    const digests = new Set([...this.approved(), ...this.files()]);
    return new Map([...digests].sort().map((digest) => [digest, this.standing(digest)]));
  }

  approve(digest: string): void {
    this.write([...new Set([...this.approved(), digest])]);
  }

  /** Takes the approval back; false where there was none. The file stays. */
  revoke(digest: string): boolean {
    const approved = this.approved();
    this.write(approved.filter((each) => each !== digest));
    return approved.includes(digest);
  }

  /** Keeps a plan file that somebody gave, after it was checked. E0303 for what is no sound plan. */
  put(file: Uint8Array, where: string): string {
    const plan = decodePlan(file, where);
    const digest = digestIn(file);
    const unapproved = this.files().filter((each) => this.standing(each) === "unapproved");
    if (unapproved.length >= MOST_UNAPPROVED) {
      const fix = `approve or remove some of those in ${this.folder}`;
      throw fail({ code: "E1001", what: `${unapproved.length} plans wait for approval`, where, fix });
    }
    writeWhole(this.fileOf(digest), "the plan", file);
    this.prepare(digest, plan);
    return digest;
  }

  /** The plan, ready to run. E0301 and E0303 where its file is missing or damaged. */
  open(digest: string): HeldPlan {
    return this.ready.get(digest) ?? this.prepare(digest, loadPlan(this.fileOf(digest)).plan);
  }

  private prepare(digest: string, plan: Plan): HeldPlan {
    const programs = programsOf(plan).map((program) => ({
      plan: withoutNotes(program),
      weights: weightsOf(program),
      data: inputLayouts(program.steps, "data"),
      public: inputLayouts(program.steps, "public"),
    }));
    const held: HeldPlan = { digest, plan: programs[0].plan, programs, longestFrame: longestFrame(plan) };
    if (this.ready.size >= MOST_READY) {
      this.ready.delete([...this.ready.keys()][0]);
    }
    this.ready.set(digest, held);
    return held;
  }

  private files(): readonly string[] {
    return readdirSync(this.folder).flatMap((name) => /^([0-9a-f]{64})\.pumac$/.exec(name)?.[1] ?? []);
  }

  private fileOf(digest: string): string {
    return join(this.folder, `${digest}.pumac`);
  }

  private approved(): readonly string[] {
    if (!existsSync(this.trustFile)) {
      return [];
    }
    try {
      const content = JSON.parse(readFileSync(this.trustFile, "utf8"));
      return parse(object({ approved: optional(array(string()), []) }), content).approved;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw fail({ code: "E0301", what: "the list of approved plans cannot be read", where: this.trustFile, why });
    }
  }

  private write(approved: readonly string[]): void {
    writeWhole(this.trustFile, "the list of approved plans", `${JSON.stringify({ approved }, undefined, 2)}\n`);
  }
}

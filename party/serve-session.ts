/**
 * One session of a data owner at a party that stays: where the plan stands, the queue, then the session itself
 * (runtime/session.ts) with weights that are kept. However it ends, it is written down.
 */
import { CATALOGUE } from "../ir/catalogue.js";
import { fail, PumacError } from "../ir/diagnostics.js";
import { dial } from "../runtime/connect.js";
import { decodeControl, encodeControl } from "../runtime/control.js";
import { PROTOCOL_VERSION } from "../runtime/handshake.js";
import { trioOf } from "../runtime/identity.js";
import { runParty } from "../runtime/interpreter.js";
import { sealedBytes, usingOf } from "../runtime/material.js";
import { MeteredTransport, type PartyReport } from "../runtime/measurement.js";
import { dealtBytes, wiping } from "../runtime/party.js";
import { prepareEntry } from "../runtime/prepare.js";
import { ASK, type Asking, ENTER, type Have, identityOfWeights } from "../runtime/requests.js";
import { type EstablishedSession, type KeptSession, type KeptWeights, runSession } from "../runtime/session.js";
import type { SocketTransport } from "../runtime/socket-transport.js";
import { type Trace, TracedTransport } from "../runtime/trace.js";
import { EVALUATORS, PARTIES, type PartyName } from "../runtime/transport.js";
import { hasState, stateBytes } from "../runtime/weight-store.js";
import type { PartyContext, SessionEnd } from "./context.js";
import type { HeldPlan } from "./plans.js";
import { writeAudit } from "./records.js";
import { SeenFrames } from "./seen.js";
import { WaitingTransport } from "./waits.js";
import { unlessAborted, within } from "./within.js";

export interface AskedSession {
  readonly id: string;
  /** The data owner's name in the topology. */
  readonly asker: string;
  readonly transport: SocketTransport;
  /** Hears what gives the session's room free: to be called when its links are closed. */
  readonly onAdmitted: (leave: () => void) => void;
  /** Hears whether a conversation waits for its owner's next question. */
  readonly onIdle: (isIdle: boolean) => void;
}

/** What is known of a session so far. */
interface Course {
  phase: "asked" | "waiting" | "agreeing" | "input" | "running" | "over";
  /** Whether material is made, or used that was made. */
  prepared: "made" | "used" | null;
  plan: string | null;
  sharing: string | null;
  rounds: number;
  /** Its links, and how long it waited for whom. */
  waiting?: WaitingTransport;
  /** What notes it, where the data owner asked for that. */
  traced?: TracedTransport | undefined;
}

function reach(course: Course, phase: Exclude<Course["phase"], "asked">): void {
  course.phase = phase;
  course.traced?.part(phase);
}

/** Serves a session to its end. Never rejects: what went wrong is in the end. */
export async function serveSession(daemon: PartyContext, asked: AskedSession): Promise<SessionEnd> {
  const { state, log } = daemon.settings;
  const course: Course = { phase: "asked", prepared: null, plan: null, sharing: null, rounds: 0 };
  const began = performance.now();
  let error: unknown;
  let report: Pick<PartyReport, "sent"> | undefined;
  try {
    report = await converse(daemon, asked, course);
  } catch (cause) {
    // Who only looked, or found that another party does not take part, ends nothing.
    const isLeaving = course.phase === "asked" && ["E0601", "E0602"].includes(codeOf(cause));
    error = isLeaving ? undefined : withPhase(cause, course, asked.asker);
  }
  const seconds = (performance.now() - began) / 1000;
  const sent = report?.sent ?? {};
  const done = course.prepared === "made" ? "prepared" : "answered";
  const outcome = report !== undefined ? done : error === undefined ? "not begun" : codeOf(error);
  const { plan, sharing, prepared, rounds } = course;
  const line = { session: asked.id, asker: asked.asker, plan, sharing, prepared, sent, rounds, seconds, outcome };
  const phase = report === undefined ? course.phase : null;
  try {
    writeAudit(state, { time: new Date().toISOString(), ...line, phase });
  } catch (cause) {
    error ??= cause;
  }
  log.info({ ...line, phase }, `session ${outcome}`);
  return { outcome, rounds, sent, seconds, waits: course.waiting?.seconds ?? {}, error };
}

function codeOf(error: unknown): string {
  return error instanceof PumacError ? error.diagnostics[0].code : "bug";
}

/** An error between peers says where the session was, and calls its data owner by name, also one that a peer told. */
function withPhase(error: unknown, { phase, rounds }: Course, asker: string): unknown {
  if (!(error instanceof PumacError) || CATALOGUE[error.diagnostics[0].code].exit < 6) {
    return error;
  }
  const where = phase === "running" ? `while running, after round ${rounds}` : `while ${phase}`;
  const [first, ...rest] = error.diagnostics;
  const why = [first.why, where].filter((part) => part !== undefined).join("; ");
  return fail({ ...first, ...(first.where === "data" && { where: asker }), why }, ...rest);
}

/** So long may a data owner that lives wait for another party's room, in milliseconds: a day. */
const LONGEST_QUEUE = 86_400_000;

/** The conversation; undefined where the data owner was told why not, or left. */
async function converse(
  daemon: PartyContext,
  asked: AskedSession,
  course: Course,
): Promise<Pick<PartyReport, "sent"> | undefined> {
  const { transport, asker } = asked;
  const { timeout, deadline } = daemon.settings;
  const ask = decodeControl(await within(transport.receive("data"), timeout, asker, "a question"), "data", ASK);
  const heard = performance.now();
  course.plan = ask.plan;
  course.prepared = ask.until !== undefined ? "made" : ask.prepared !== undefined ? "used" : null;
  const have = standing(daemon, asked, ask);
  course.traced = ask.trace === true ? new TracedTransport(transport, performance.now() - heard) : undefined;
  await transport.send("data", encodeControl(have));
  const isThere = ask.prepared === undefined || have.prepared;
  const isPossible = have.version === ask.version && have.plan === "approved" && have.refused === null && isThere;
  if (!isPossible) {
    await within(transport.receive("data"), timeout, asker, "its leave").catch(() => undefined);
    return undefined;
  }
  // It may stand in another party's queue: its pulses say that it still does.
  decodeControl(await within(transport.receive("data"), LONGEST_QUEUE, asker, "its entry"), "data", ENTER);
  const plan = daemon.plans.open(ask.plan);
  if (!(await enter(daemon, asked, plan, course))) {
    return undefined;
  }
  transport.allowFrames(plan.longestFrame);
  const waiting = new WaitingTransport(course.traced ?? transport);
  course.waiting = waiting;
  const given = { ...asked, waiting };
  const work = ask.until === undefined ? run(daemon, given, plan, ask, course) : make(daemon, given, plan, ask, course);
  return await within(work, deadline, () => slowest(daemon, asked, waiting), "the end of the session");
}

/** Who has not done what a session waits for when its time is over: this party itself where it waits for nobody. */
function slowest({ settings }: PartyContext, { asker }: AskedSession, { missing }: WaitingTransport): string {
  return missing === "data" ? asker : (missing ?? settings.party);
}

/** A session that may begin, and its links. */
interface EnteredSession extends AskedSession {
  readonly waiting: WaitingTransport;
}

function standing(daemon: PartyContext, { id, asker }: AskedSession, ask: Asking): Have {
  const now = Date.now();
  const { plans, sharings, ids, quota, admission, prepared } = daemon;
  const plan = plans.standing(ask.plan);
  prepared?.expire(now);
  const refused = !ids.use(id, ask.at, now)
    ? "E0902"
    : !quota.allows(asker, now)
      ? "E1003"
      : admission.isFull || daemon.isDraining
        ? "E1002"
        : plan === "approved" && ask.until !== undefined
          ? roomFor(daemon, asker, ask.plan)
          : null;
  const serving = plan === "approved" ? sharings.serving(ask.plan).map((sharing) => sharing.id) : [];
  const isKept = prepared?.has(ask.prepared ?? "", claimOf(daemon, asker, ask.plan), now) === true;
  return { version: PROTOCOL_VERSION, plan, sharings: serving, prepared: isKept, refused };
}

/** Why no more material is made for a data owner; null where there is room. */
function roomFor({ prepared, plans, settings }: PartyContext, asker: string, plan: string): Have["refused"] {
  if (prepared === undefined) {
    return null;
  }
  const isTooMuch = prepared.held.bytes + materialOf(settings.party, plans.open(plan)) > settings.prepared;
  return prepared.countOf(asker) >= settings.quota ? "E1003" : isTooMuch ? "E1001" : null;
}

/** Bytes of one entry's material on this party's disk. */
function materialOf(party: PartyName, { plan }: HeldPlan): number {
  return party === "P2" ? sealedBytes(dealtBytes(plan)) : 0;
}

/** What an entry belongs to. */
function claimOf({ settings }: PartyContext, asker: string, plan: string) {
  return { plan, asker, trio: trioOf(settings.identity) };
}

/** Beside the arena: packed inputs as they are used, frames, and Node itself for one session. */
const BESIDE_ARENA = 32e6;

/** Waits for a place; false where there is none and the data owner was told. */
async function enter(
  { admission, quota, settings }: PartyContext,
  { transport, asker, onAdmitted }: AskedSession,
  { programs, longestFrame }: HeldPlan,
  course: Course,
): Promise<boolean> {
  const as = settings.party === "P0" ? "P0" : "P12";
  const arena = Math.max(...programs.map(({ plan }) => plan.arena[as]));
  const kept = stateBytes(programs[0].plan, as);
  // P1 and P2 compute nothing while material is made.
  const isIdle = course.prepared === "made" && as === "P12";
  const say = (place: number, refused: "E1001" | "E1002" | "E1003" | null = null): Promise<void> =>
    transport.send("data", encodeControl({ place, refused, seconds: admission.seconds }));
  const told = (place: number): void => void say(place).catch(() => undefined);
  reach(course, "waiting");
  try {
    const need = (isIdle ? 0 : arena + kept) + longestFrame + BESIDE_ARENA;
    onAdmitted(await admission.enter(need, told, transport.signal));
  } catch (error) {
    if (error instanceof PumacError && error.diagnostics[0].code === "E1002") {
      await say(0, "E1002");
      return false;
    }
    if (error instanceof PumacError && error.diagnostics[0].code === "E1001") {
      await say(0, "E1001");
    }
    throw error;
  }
  if (course.prepared !== "made") {
    // It had questions left when it asked; others of its questions may have begun since.
    if (!quota.allows(asker, Date.now())) {
      await say(0, "E1003");
      return false;
    }
    quota.count(asker, Date.now());
  }
  await say(0);
  return true;
}

/** What a session of a party that stays is about. */
function keptSession(
  daemon: PartyContext,
  { id, asker, transport, onIdle }: AskedSession,
  held: HeldPlan,
  entry: string | undefined,
  course: Course,
): KeptSession {
  reach(course, "agreeing");
  return {
    session: id,
    asker,
    longestFrame: held.longestFrame,
    weights: (sharing) => {
      course.sharing = sharing;
      return weightsOf(daemon, held, sharing);
    },
    ahead: entry === undefined ? undefined : aheadOf(daemon, asker, held, entry),
    connect: () =>
      unlessAborted(connect(daemon, id, transport, entry === undefined ? PARTIES : EVALUATORS), transport.signal),
    onAgreed: () => reach(course, "input"),
    onIdle: (isIdle) => {
      reach(course, "input");
      onIdle(isIdle);
    },
  };
}

/** The entry that a question uses. */
function aheadOf(daemon: PartyContext, asker: string, { digest }: HeldPlan, entry: string): KeptSession["ahead"] {
  const { prepared } = daemon;
  const claim = claimOf(daemon, asker, digest);
  return {
    purpose: usingOf(entry),
    spend: async (key, weights) => {
      if (prepared === undefined) {
        throw fail({ code: "E0901", what: "P0 has no part in a question that is prepared", where: "data" });
      }
      return await prepared.use(entry, { ...claim, weights }, key, Date.now());
    },
  };
}

/** Makes an entry for later, under the session's id. */
async function make(
  daemon: PartyContext,
  asked: EnteredSession,
  held: HeldPlan,
  { until = 0 }: Asking,
  course: Course,
): Promise<Pick<PartyReport, "sent">> {
  const { settings, prepared } = daemon;
  const { party, random, kernels } = settings;
  const [{ plan, data }] = held.programs;
  if (hasState(plan)) {
    throw fail({ code: "E0201", what: "material is made for single questions only", where: plan.name });
  }
  const expires = Math.min(until, Date.now() + LONGEST_KEPT);
  const transport = new MeteredTransport(asked.waiting);
  await prepareEntry(transport, {
    ...{ plan: held.digest, random, layouts: { model: [], data, public: [] } },
    kept: keptSession(daemon, asked, held, undefined, course),
    deal: (session: EstablishedSession) => {
      reach(course, "running");
      transport.phase = "run";
      const dealing = runParty({ ...session, plan, party, kernels: wiping(kernels) });
      return dealing.finally(() => {
        transport.phase = "control";
      });
    },
    keep: async (part) => {
      const given = { ...claimOf(daemon, asked.asker, held.digest), expires, foreseen: materialOf(party, held) };
      if (prepared === undefined) {
        throw new Error("P0 keeps no material");
      }
      return await prepared.keep(asked.id, given, part);
    },
  });
  return { sent: { P2: transport.bytes("run", "P2") } };
}

/** Material is kept for so many milliseconds at most: thirty days. */
const LONGEST_KEPT = 30 * 86_400_000;

async function run(
  daemon: PartyContext,
  asked: EnteredSession,
  held: HeldPlan,
  { prepared: entry }: Asking,
  course: Course,
): Promise<PartyReport> {
  const { party, kernels, random, usage, onSeen } = daemon.settings;
  const before = usage().cpu;
  const [first] = held.programs;
  return await runSession(asked.waiting, {
    plan: held.digest,
    layouts: { model: [], data: first.data, public: first.public },
    programs: hasState(first.plan) ? held.programs : undefined,
    random,
    usage: () => ({ ...usage(), cpu: usage().cpu - before }),
    clock: () => performance.now() / 1000,
    trace: course.traced && (() => traceOf(course)),
    kept: keptSession(daemon, asked, held, entry, course),
    interpret: (session) => {
      reach(course, "running");
      const seen = onSeen === undefined ? undefined : new SeenFrames(party, onSeen);
      const onRound = (done: number, all: number): void => {
        course.rounds = done;
        course.traced?.round();
        daemon.settings.onRound?.(done, all);
        seen?.round(done);
      };
      const program = held.programs[session.run.program];
      const watched = seen?.over(session, program.data) ?? session;
      const running = runParty({ ...watched, plan: program.plan, party, kernels: wiping(kernels), onRound });
      return running.finally(() => seen?.report());
    },
  });
}

function traceOf(course: Course): Trace {
  reach(course, "over");
  return course.traced!.trace;
}

/** This party's part of a sharing, as each program of the plan takes it. */
async function weightsOf(daemon: PartyContext, held: HeldPlan, id: string): Promise<KeptWeights> {
  const sharing = daemon.sharings.get(id);
  if (sharing === undefined || !sharing.serves(held.digest)) {
    const what = "this party keeps no such sharing of the plan's weights";
    throw fail({ code: "E0803", what, where: daemon.settings.party, fix: "ask again, or share the model again" });
  }
  await sharing.check();
  const programs = held.programs.map(({ weights }) => sharing.sharesFor(weights));
  return { programs, identity: identityOfWeights(id, held.programs, sharing.held) };
}

/** Dials the parties with smaller numbers, and waits for those with larger ones. */
async function connect(
  { settings, rendezvous }: PartyContext,
  id: string,
  transport: SocketTransport,
  among: readonly PartyName[],
): Promise<void> {
  const { party, addresses, identity, timeout } = settings;
  const lower = among.filter((name) => name < party);
  const higher = among.filter((name) => name > party);
  await Promise.all([
    ...lower.map((name) => dial(transport, name, addresses[name], identity, timeout, id)),
    rendezvous.meet(id, higher, ({ role, socket }) => transport.attach(role, socket)),
  ]);
}

/**
 * One session of a data owner at a party that stays: where the plan stands, the queue, then the session itself
 * (runtime/session.ts) with weights that are kept. However it ends, it is written down.
 */
import { CATALOGUE } from "../ir/catalogue.js";
import { fail, PumacError } from "../ir/diagnostics.js";
import { dial } from "../runtime/connect.js";
import { decodeControl, encodeControl } from "../runtime/control.js";
import { PROTOCOL_VERSION } from "../runtime/handshake.js";
import { runParty } from "../runtime/interpreter.js";
import type { PartyReport } from "../runtime/measurement.js";
import { wiping } from "../runtime/party.js";
import { ASK, ENTER, type Have } from "../runtime/requests.js";
import { runSession } from "../runtime/session.js";
import type { SocketTransport } from "../runtime/socket-transport.js";
import { PARTIES } from "../runtime/transport.js";
import { hasState, type OwnerShares, stateBytes } from "../runtime/weight-store.js";
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
  plan: string | null;
  sharing: string | null;
  rounds: number;
  /** Seconds of waiting by peer. */
  waits: Readonly<Record<string, number>>;
}

/** Serves a session to its end. Never rejects: what went wrong is in the end. */
export async function serveSession(daemon: PartyContext, asked: AskedSession): Promise<SessionEnd> {
  const { state, log } = daemon.settings;
  const course: Course = { phase: "asked", plan: null, sharing: null, rounds: 0, waits: {} };
  const began = performance.now();
  let error: unknown;
  let report: PartyReport | undefined;
  try {
    report = await converse(daemon, asked, course);
  } catch (cause) {
    // Who only looked, or found that another party does not take part, ends nothing.
    const isLeaving = course.phase === "asked" && ["E0601", "E0602"].includes(codeOf(cause));
    error = isLeaving ? undefined : withPhase(cause, course);
  }
  const seconds = (performance.now() - began) / 1000;
  const sent = report?.sent ?? {};
  const outcome = report !== undefined ? "answered" : error === undefined ? "not begun" : codeOf(error);
  const { plan, sharing, rounds } = course;
  const line = { session: asked.id, asker: asked.asker, plan, sharing, sent, rounds, seconds, outcome };
  const phase = report === undefined ? course.phase : null;
  try {
    writeAudit(state, { time: new Date().toISOString(), ...line, phase });
  } catch (cause) {
    error ??= cause;
  }
  log.info({ ...line, phase }, `session ${outcome}`);
  return { outcome, rounds, sent, seconds, waits: course.waits, error };
}

function codeOf(error: unknown): string {
  return error instanceof PumacError ? error.diagnostics[0].code : "bug";
}

/** An error between peers says where the session was. */
function withPhase(error: unknown, { phase, rounds }: Course): unknown {
  if (!(error instanceof PumacError) || CATALOGUE[error.diagnostics[0].code].exit < 6) {
    return error;
  }
  const where = phase === "running" ? `while running, after round ${rounds}` : `while ${phase}`;
  const [first, ...rest] = error.diagnostics;
  return fail({ ...first, why: [first.why, where].filter((part) => part !== undefined).join("; ") }, ...rest);
}

/** The conversation; undefined where the data owner was told why not, or left. */
async function converse(daemon: PartyContext, asked: AskedSession, course: Course): Promise<PartyReport | undefined> {
  const { transport, asker } = asked;
  const { timeout, deadline } = daemon.settings;
  const ask = decodeControl(await within(transport.receive("data"), timeout, asker, "a question"), "data", ASK);
  course.plan = ask.plan;
  const have = standing(daemon, asked, ask);
  await transport.send("data", encodeControl(have));
  const isPossible = have.version === ask.version && have.plan === "approved" && have.refused === null;
  if (!isPossible) {
    await within(transport.receive("data"), timeout, asker, "its leave").catch(() => undefined);
    return undefined;
  }
  decodeControl(await within(transport.receive("data"), timeout, asker, "its entry"), "data", ENTER);
  const plan = daemon.plans.open(ask.plan);
  if (!(await enter(daemon, asked, plan, course))) {
    return undefined;
  }
  transport.allowFrames(plan.longestFrame);
  return await within(run(daemon, asked, plan, course), deadline, asker, "the end of the session");
}

function standing(daemon: PartyContext, { id, asker }: AskedSession, ask: { plan: string; at: number }): Have {
  const now = Date.now();
  const { plans, sharings, ids, quota, admission } = daemon;
  const plan = plans.standing(ask.plan);
  const refused = !ids.use(id, ask.at, now)
    ? "E0902"
    : !quota.allows(asker, now)
      ? "E1003"
      : admission.isFull || daemon.isDraining
        ? "E1002"
        : null;
  const serving = plan === "approved" ? sharings.serving(ask.plan).map((sharing) => sharing.id) : [];
  return { version: PROTOCOL_VERSION, plan, sharings: serving, refused };
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
  const say = (place: number, refused: "E1002" | null = null): Promise<void> =>
    transport.send("data", encodeControl({ place, refused, seconds: admission.seconds }));
  const told = (place: number): void => void say(place).catch(() => undefined);
  course.phase = "waiting";
  try {
    onAdmitted(await admission.enter(arena + kept + longestFrame + BESIDE_ARENA, told, transport.signal));
  } catch (error) {
    if (error instanceof PumacError && error.diagnostics[0].code === "E1002") {
      await say(0, "E1002");
      return false;
    }
    throw error;
  }
  quota.count(asker, Date.now());
  await say(0);
  return true;
}

async function run(
  daemon: PartyContext,
  { id, asker, transport, onIdle }: AskedSession,
  held: HeldPlan,
  course: Course,
): Promise<PartyReport> {
  const { party, kernels, random, usage, onSeen } = daemon.settings;
  course.phase = "agreeing";
  const before = usage().cpu;
  const waiting = new WaitingTransport(transport);
  course.waits = waiting.seconds;
  const [first] = held.programs;
  return await runSession(waiting, {
    plan: held.digest,
    layouts: { model: [], data: first.data, public: first.public },
    programs: hasState(first.plan) ? held.programs : undefined,
    random,
    usage: () => ({ ...usage(), cpu: usage().cpu - before }),
    clock: () => performance.now() / 1000,
    kept: {
      session: id,
      asker,
      weights: (sharing) => {
        course.sharing = sharing;
        return weightsOf(daemon, held, sharing);
      },
      connect: () => unlessAborted(connect(daemon, id, transport), transport.signal),
      onAgreed: () => {
        course.phase = "input";
      },
      onIdle: (isIdle) => {
        course.phase = "input";
        onIdle(isIdle);
      },
    },
    interpret: (session) => {
      course.phase = "running";
      const seen = onSeen === undefined ? undefined : new SeenFrames(party, onSeen);
      const onRound = (done: number, all: number): void => {
        course.rounds = done;
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

/** This party's part of a sharing, as each program of the plan takes it. */
async function weightsOf(daemon: PartyContext, held: HeldPlan, id: string): Promise<readonly OwnerShares[]> {
  const sharing = daemon.sharings.get(id);
  if (sharing === undefined || !sharing.serves(held.digest)) {
    const what = "this party keeps no such sharing of the plan's weights";
    throw fail({ code: "E0803", what, where: daemon.settings.party, fix: "ask again, or share the model again" });
  }
  await sharing.check();
  return held.programs.map(({ weights }) => sharing.sharesFor(weights));
}

/** Dials the parties with smaller numbers, and waits for those with larger ones. */
async function connect({ settings, rendezvous }: PartyContext, id: string, transport: SocketTransport): Promise<void> {
  const { party, addresses, identity, timeout } = settings;
  const lower = PARTIES.filter((name) => name < party);
  const higher = PARTIES.filter((name) => name > party);
  await Promise.all([
    ...lower.map((name) => dial(transport, name, addresses[name], identity, timeout, id)),
    rendezvous.meet(id, higher, ({ role, socket }) => transport.attach(role, socket)),
  ]);
}

/**
 * Looks at every link of a topology, from here and between the parties: who answers, whether it is who it says, clocks,
 * round trips, bandwidth, versions, room; and whether a plan is approved and its weights are shared. What fails comes
 * with what to do.
 */
import { addressOf, identityOf, type Topology } from "../../formats/topology.js";
import { type Diagnostic, fail, PumacError } from "../../ir/diagnostics.js";
import { PROTOCOL_VERSION } from "../../runtime/handshake.js";
import { expiringSoon } from "../../runtime/identity.js";
import { type Probed, probe } from "../../runtime/probe.js";
import { PARTIES, type PartyName } from "../../runtime/transport.js";

/** A line of the table. */
export interface LinkCheck {
  readonly name: string;
  /** "slow" works, but not as well as it could, or not for long. */
  readonly state: "ok" | "slow" | "failed";
  readonly detail: string;
  readonly problem?: Diagnostic;
}

const MEASURED_BYTES = 1 << 20;
/** Clocks may differ by ten minutes before sessions are refused; half of it is worth a word. */
const MOST_SKEW = 600_000;
const LITTLE_DISK = 1e9;

/** Checks every link. `plan`: a digest to ask about; `timeout`: milliseconds. */
export async function checkTopology(
  topology: Topology,
  timeout: number,
  plan: string | undefined,
): Promise<readonly LinkCheck[]> {
  const expiring = expiringSoon(identityOf(topology).pinned, Date.now()).map(({ name, days }) => ({
    name: `${name} certificate`,
    state: days < 0 ? ("failed" as const) : ("slow" as const),
    detail: days < 0 ? "has expired" : `expires in ${days} days`,
    problem: { code: "E0701", what: "a certificate has expired", where: name, fix: "make a new one" } as const,
  }));
  const others = PARTIES.filter((party) => party !== topology.name);
  const found = await Promise.all(others.map((party) => checkParty(party, topology, timeout, plan)));
  return [...expiring, ...found.flatMap(({ checks }) => checks), ...sharedBy(found, plan)];
}

interface Looked {
  readonly party: PartyName;
  readonly checks: readonly LinkCheck[];
  readonly sharings?: readonly string[];
}

async function checkParty(
  party: PartyName,
  topology: Topology,
  timeout: number,
  plan: string | undefined,
): Promise<Looked> {
  const name = `${topology.name} to ${party}`;
  const plans = plan === undefined ? [] : [plan];
  try {
    const options = { identity: identityOf(topology), timeout, plans, bytes: MEASURED_BYTES };
    const at = addressOf(topology, party);
    const probed = await probe(party, at, options);
    const { answer } = await probe(party, at, { ...options, bytes: 0, links: true });
    const sharings = (answer.sharings[plan ?? ""]?.ids ?? "").split(" ").filter((id) => id !== "");
    return { party, checks: [...linesOf(name, party, probed, plan), ...linksOf(party, answer.links)], sharings };
  } catch (error) {
    const [problem] = error instanceof PumacError ? error.diagnostics : [];
    if (problem === undefined) {
      throw error;
    }
    const fix = problem.fix ?? `is ${party} started, and may this machine reach ${topology.peers[party]?.address}?`;
    return { party, checks: [failed(name, { ...problem, fix })] };
  }
}

function failed(name: string, problem: Diagnostic): LinkCheck {
  return { name, state: "failed", detail: problem.what, problem };
}

function linesOf(name: string, party: PartyName, probed: Probed, plan: string | undefined): readonly LinkCheck[] {
  const { answer, milliseconds, bytesMilliseconds } = probed;
  const megabits = (MEASURED_BYTES * 8) / 1000 / Math.max(bytesMilliseconds, 0.1);
  const skew = answer.now - Date.now();
  const clock = `clock ${Math.abs(skew) < 1000 ? "within a second" : `${(skew / 1000).toFixed(0)} s off`}`;
  const free = `${gigabytes(answer.memory)} memory and ${gigabytes(answer.disk)} disk free`;
  const { count, bytes } = answer.prepared;
  const ahead = count === 0 ? "" : `, ${count} prepared questions in ${gigabytes(bytes)}`;
  const room = `${answer.sessions} sessions, ${answer.waiting} wait, ${free}${ahead}`;
  const lines: LinkCheck[] = [
    {
      name,
      state: "ok",
      detail: `${milliseconds.toFixed(1)} ms there and back, about ${Math.round(megabits)} Mbit/s`,
    },
    Math.abs(skew) > MOST_SKEW
      ? failed(`${party} clock`, { code: "E0902", what: clock, where: party, fix: "set the clock (NTP)" })
      : { name: `${party} clock`, state: Math.abs(skew) > MOST_SKEW / 2 ? "slow" : "ok", detail: clock },
    { name: `${party} room`, state: answer.disk < LITTLE_DISK ? "slow" : "ok", detail: room },
  ];
  if (answer.version !== PROTOCOL_VERSION) {
    const what = `speaks version ${answer.version}, this side ${PROTOCOL_VERSION}`;
    lines.push(failed(`${party} version`, { code: "E0801", what, where: party, fix: "install the same version" }));
  }
  const standing = plan === undefined ? undefined : answer.plans[plan];
  if (standing === "approved") {
    lines.push({ name: `${party} plan`, state: "ok", detail: "approved" });
  } else if (standing !== undefined) {
    const fix = standing === "unknown" ? "share the model with this plan" : `pumac trust approve ${plan}`;
    lines.push(failed(`${party} plan`, { code: "E0802", what: `the plan is ${standing}`, where: party, fix }));
  }
  return lines;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** How a party sees the others. */
function linksOf(party: PartyName, links: Probed["answer"]["links"]): readonly LinkCheck[] {
  return Object.entries(links).map(([other, { code, milliseconds }]) => {
    const name = `${party} to ${other}`;
    if (code === null) {
      return { name, state: "ok", detail: `${milliseconds.toFixed(1)} ms there and back` };
    }
    const isIdentity = code === "E0701";
    const what = isIdentity ? `${other} is not who ${party} thinks` : `${party} cannot reach ${other}`;
    const fix = isIdentity ? `exchange the public parts of ${party} and ${other} again` : `open the way to ${other}`;
    return failed(name, { code: isIdentity ? "E0701" : "E0601", what, where: other, fix });
  });
}

/** Whether all three keep one sharing of the plan's weights. */
function sharedBy(found: readonly Looked[], plan: string | undefined): readonly LinkCheck[] {
  if (plan === undefined || found.some(({ sharings }) => sharings === undefined)) {
    return [];
  }
  const name = "weights";
  const common = found[0].sharings?.find((id) => found.every(({ sharings }) => sharings?.includes(id)));
  if (common === undefined) {
    const fix = "pumac share MODEL --plan PLAN --topology FILE";
    return [failed(name, { code: "E0803", what: "no sharing that all keep", where: name, fix })];
  }
  return [{ name, state: "ok", detail: `sharing ${common}` }];
}

/** Throws what is wrong, all at once. */
export function throwProblems(checks: readonly LinkCheck[]): void {
  const problems = checks.flatMap(({ state, problem }) =>
    state === "failed" && problem !== undefined ? [problem] : [],
  );
  if (problems.length > 0) {
    throw fail(...problems);
  }
}

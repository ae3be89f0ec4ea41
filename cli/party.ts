/** `pumac party`: the daemon of one party, until SIGTERM, which lets running sessions finish (exit 0). */
import { mkdirSync } from "node:fs";
import { totalmem } from "node:os";
import type { Command } from "commander";
import { formatBytes, formatSeconds } from "../analysis/units.js";
import { addressOf, identityOf, loadTopology, type Topology } from "../formats/topology.js";
import { fail } from "../ir/diagnostics.js";
import { PartyDaemon } from "../party/daemon.js";
import { readAudit } from "../party/records.js";
import { Watch } from "../party/watch.js";
import { expiringSoon } from "../runtime/identity.js";
import { loadKernels } from "../runtime/kernels/load.js";
import { systemRandom } from "../runtime/keys.js";
import { processUsage } from "../runtime/memory.js";
import { PARTIES, type PartyName } from "../runtime/transport.js";
import { endGently } from "./exit.js";
import { createLog } from "./log.js";
import { parseBytes, parseCount, parseSeconds, printJson, printResult } from "./terminal.js";

interface PartyFlags {
  readonly topology: string;
  readonly sessions: number;
  readonly memory: number;
  readonly queue: number;
  readonly timeout: number;
  readonly deadline: number;
  readonly quota: number;
  readonly watch?: { readonly host: string; readonly port: number };
}

export function addParty(program: Command): void {
  const party = program
    .command("party")
    .description("be a party: serve owners until SIGTERM, which lets running sessions finish")
    .requiredOption("--topology <file>", "this party's topology (pumac init)")
    .option("--sessions <number>", "how many sessions run at a time", parseCount, 4)
    .option("--memory <bytes>", "how much memory sessions may take together", parseBytes, totalmem() / 2)
    .option("--queue <number>", "how many sessions may wait", parseCount, 64)
    .option("--timeout <seconds>", "how long a silent peer is waited for", parseSeconds, 60)
    .option("--deadline <seconds>", "how long a session may take", parseSeconds, 3600)
    .option("--quota <number/day>", "how many questions each data owner may ask in a day", parseQuota, Infinity)
    .option(
      "--watch <[host:]port>",
      "answer /healthz, /readyz and /metrics there (default host: 127.0.0.1)",
      parsePlace,
    )
    .action(serve);
  party
    .command("audit")
    .description("what sessions this party has had: who asked, which plan and sharing, what was sent, how it ended")
    .option("--json", "print one JSON document (pumac.audit/1)")
    .action((_: object, command: Command) => audit(command.optsWithGlobals()));
}

function audit({ topology, json }: { readonly topology: string; readonly json?: boolean }): void {
  const sessions = readAudit(loadTopology(topology).folder);
  if (json === true) {
    printJson({ schema: "pumac.audit/1", sessions });
    return;
  }
  for (const { time, session, asker, plan, sent, rounds, seconds, outcome, phase } of sessions) {
    const bytes = Object.values(sent).reduce((sum, each) => sum + each, 0);
    const cost = `${rounds} rounds, ${formatBytes(bytes)} sent, ${formatSeconds(seconds)}`;
    const where = phase === null ? "" : ` while ${phase}`;
    printResult(
      `${time} ${session.slice(0, 8)} ${asker} ${outcome}${where}: plan ${plan?.slice(0, 8) ?? "?"}, ${cost}`,
    );
  }
}

async function serve(flags: PartyFlags): Promise<void> {
  const topology = loadTopology(flags.topology);
  const party = partyOf(topology);
  const log = createLog(party);
  mkdirSync(topology.folder, { recursive: true, mode: 0o700 });
  const { create: kernels, warning } = loadKernels();
  const daemon = new PartyDaemon({
    ...flags,
    party,
    listenAt: addressOf(topology, party),
    addresses: addressesOf(topology),
    identity: identityOf(topology),
    state: topology.folder,
    timeout: flags.timeout * 1000,
    deadline: flags.deadline * 1000,
    kernels,
    random: systemRandom,
    log,
    usage: processUsage,
    onEnd: (end) => watch?.record(end),
  });
  const watch = flags.watch === undefined ? undefined : new Watch(daemon);
  process.on("SIGHUP", () => {
    try {
      const fresh = loadTopology(flags.topology);
      daemon.renew(identityOf(fresh), addressesOf(fresh));
      log.info({ known: Object.keys(fresh.peers) }, "topology read again");
    } catch (error) {
      log.warn({ why: error instanceof Error ? error.message : String(error) }, "the topology stays as it was");
    }
  });
  const ended = new Promise<void>((resolve) => endGently(resolve));
  const at = await daemon.start();
  log.info({ ...at, state: topology.folder, ...(warning !== undefined && { slow: warning }) }, "listening");
  if (watch !== undefined && flags.watch !== undefined) {
    log.info({ host: flags.watch.host, port: await watch.start(flags.watch) }, "watched");
  }
  for (const { name, days } of expiringSoon(identityOf(topology).pinned, Date.now())) {
    log.warn({ name, days }, "a certificate expires soon");
  }
  await ended;
  log.info({ sessions: daemon.admission.running }, "draining");
  await daemon.drain();
  watch?.close();
  log.info({}, "stopped");
}

function addressesOf(topology: Topology) {
  const [P0, P1, P2] = PARTIES.map((name) => addressOf(topology, name));
  return { P0, P1, P2 };
}

function partyOf({ name, file }: Topology): PartyName {
  const party = PARTIES.find((each) => each === name);
  if (party === undefined) {
    throw fail({
      code: "E0305",
      what: `it is of ${name}, which is no party`,
      where: file,
      fix: "pumac init --party P0",
    });
  }
  return party;
}

/** `1000/day`. */
function parseQuota(text: string): number {
  const match = /^(\d+)\/day$/.exec(text);
  if (match === null) {
    throw fail({ code: "E0201", what: `'${text}' is no quota`, fix: "write 1000/day" });
  }
  return Number(match[1]);
}

/** `9100`, `127.0.0.1:9100`. */
function parsePlace(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:(.+):)?(\d+)$/.exec(text);
  if (match === null) {
    throw fail({ code: "E0201", what: `'${text}' is no place to listen at`, fix: "write 9100, or HOST:9100" });
  }
  return { host: match[1] ?? "127.0.0.1", port: Number(match[2]) };
}

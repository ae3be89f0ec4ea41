/** `pumac party`: the daemon of one party, until SIGTERM, which lets running sessions finish (exit 0). */
import { totalmem } from "node:os";
import type { Command } from "commander";
import { formatBytes, formatSeconds } from "../analysis/units.js";
import { parsePlace, parseQuota } from "../formats/quantities.js";
import { loadTopology } from "../formats/topology.js";
import { readAudit } from "../party/records.js";
import { type PartyLimits, partyOf, type StartedParty, startParty, stateOf } from "../party/start.js";
import { endGently } from "./exit.js";
import { createLog } from "./log.js";
import { parseBytes, parseCount, parseSeconds, printJson, printResult } from "./terminal.js";

type PartyFlags = PartyLimits & { readonly topology: string };

export function addParty(program: Command): void {
  const party = program
    .command("party")
    .description("be a party: serve owners until SIGTERM, which lets running sessions finish")
    .requiredOption("--topology <file>", "this party's topology (pumac init)")
    .option("--lane <number>", "serve this lane of the topology, from 0", parseCount, 0)
    .option("--sessions <number>", "how many sessions run at a time", parseCount, 4)
    .option("--memory <bytes>", "how much memory sessions may take together", parseBytes, totalmem() / 2)
    .option("--queue <number>", "how many sessions may wait", parseCount, 64)
    .option("--timeout <seconds>", "how long a silent peer is waited for", parseSeconds, 60)
    .option("--deadline <seconds>", "how long a session may take", parseSeconds, 3600)
    .option("--quota <number/day>", "how many questions each data owner may ask in a day", parseQuota, Infinity)
    .option("--prepared <bytes>", "how much prepared material may take on the disk", parseBytes, 50e9)
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

interface AuditFlags extends Pick<PartyFlags, "topology" | "lane"> {
  readonly json?: boolean;
}

function audit({ topology, lane = 0, json }: AuditFlags): void {
  const sessions = readAudit(stateOf(loadTopology(topology), lane));
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

async function serve({ topology, ...limits }: PartyFlags): Promise<void> {
  const log = createLog(partyOf(loadTopology(topology)));
  const ended = new Promise<void>((resolve) => endGently(resolve));
  let party: StartedParty | undefined;
  process.on("SIGHUP", () => party?.renew());
  party = await startParty(topology, { ...limits, log });
  await ended;
  await party.stop();
}

/** `pumac share`: a model's owner shares weights with the parties of a topology, once, or has a sharing deleted. */
import type { Command } from "commander";
import { formatBytes } from "../analysis/units.js";
import { deleteSharing, shareWithLanes } from "../client/remote/share.js";
import { laneOf, loadTopology } from "../formats/topology.js";
import { openForSharing } from "../index.js";
import { fail } from "../ir/diagnostics.js";
import { interrupted } from "./exit.js";
import { collect, parseCount, parseSeconds, printJson, printNote, printResult, startProgress } from "./terminal.js";

interface ShareFlags {
  readonly plan: readonly string[];
  readonly topology: string;
  readonly weights: readonly string[];
  readonly trustPlan: readonly string[];
  readonly delete?: string;
  readonly wide?: boolean;
  readonly lanes: number;
  readonly timeout: number;
  readonly json?: boolean;
}

export function addShare(program: Command): void {
  program
    .command("share")
    .description("share a model's weights with the parties, once, for one plan or several of the same weights")
    .argument("[model]", "the model that the plans were compiled from")
    .option("--plan <file>", "a plan to share for; may be given several times", collect, [])
    .requiredOption("--topology <file>", "this owner's topology (pumac init)")
    .option("--weights <file>", "JAX's .safetensors beside the model", collect, [])
    .option("--trust-plan <digest>", "share for this plan without compiling the model again", collect, [])
    .option("--lanes <number>", "with the parties of so many lanes", parseCount, 1)
    .option("--wide", "share in words of 64 bits: larger, and every later plan of these weights is served")
    .option("--delete <id>", "remove a sharing at every party, instead")
    .option("--timeout <seconds>", "how long a silent party is waited for", parseSeconds, 60)
    .option("--json", "print one JSON document (pumac.share/1)")
    .action((model: string | undefined, flags: ShareFlags) =>
      flags.delete === undefined ? share(model, flags) : remove(flags.delete, flags),
    );
}

async function share(model: string | undefined, flags: ShareFlags): Promise<void> {
  if (model === undefined || flags.plan.length === 0) {
    const fix = "pumac share MODEL --plan PLAN --topology FILE";
    throw fail({ code: "E0201", what: "sharing needs a model and a plan", fix });
  }
  const topology = loadTopology(flags.topology);
  const plans = await openForSharing(flags.plan, [model, ...flags.weights], {
    trusted: flags.trustPlan,
    signal: interrupted,
  });
  const progress = startProgress("sharing weights");
  const options = { plans, wide: flags.wide === true, timeout: flags.timeout * 1000, onProgress: progress.update };
  const shared = await shareWithLanes(flags.lanes, { ...options, topology }).finally(progress.stop);
  if (flags.json === true) {
    printJson({ schema: "pumac.share/1", ...shared, plans: plans.map(({ digest }) => digest) });
    return;
  }
  const sent = Object.entries(shared.sent).map(([party, bytes]) => `${formatBytes(bytes)} to ${party}`);
  printNote(`${shared.weights} weights for ${plans.length} plans: sent ${sent.join(", ")}`);
  printNote("the parties keep their shares: the model's owner is not needed any more");
  printResult(shared.sharing);
}

async function remove(id: string, flags: ShareFlags): Promise<void> {
  if (!/^[0-9a-f]{32}$/.test(id)) {
    throw fail({ code: "E0201", what: `'${id}' is no sharing's id`, fix: "give what pumac share printed" });
  }
  const topology = loadTopology(flags.topology);
  const lanes = Array.from({ length: flags.lanes }, (_, lane) => laneOf(topology, lane));
  const all = lanes.map((lane) => deleteSharing(id, lane, flags.timeout * 1000));
  const deleted = (await Promise.all(all)).flat();
  if (flags.json === true) {
    printJson({ schema: "pumac.share/1", sharing: id, deleted });
    return;
  }
  for (const { party, found, bytes } of deleted) {
    printResult(`${party} ${found ? `deleted ${formatBytes(bytes)}` : "kept no such sharing"}`);
  }
}

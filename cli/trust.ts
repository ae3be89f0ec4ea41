/** `pumac trust`: which plans a party runs. The daemon looks at each request, so nothing need be started again. */
import type { Command } from "commander";
import { readBytes } from "../formats/files.js";
import { loadTopology } from "../formats/topology.js";
import { fail } from "../ir/diagnostics.js";
import { PlanShelf } from "../party/plans.js";
import { printJson, printNote, printResult } from "./terminal.js";

interface TrustFlags {
  readonly topology: string;
  readonly json?: boolean;
}

export function addTrust(program: Command): void {
  const trust = program.command("trust").description("which plans this party runs");
  const command = (name: string, what: string): Command =>
    trust.command(name).description(what).requiredOption("--topology <file>", "this party's topology");
  command("approve", "run this plan from now on")
    .argument("<digest>", "the plan's digest, or its file, which is then kept")
    .action((given: string, flags: TrustFlags) => {
      const shelf = shelfOf(flags);
      const digest = isDigest(given) ? given.toLowerCase() : shelf.put(readBytes(given), given);
      shelf.approve(digest);
      printNote(shelf.has(digest) ? "approved" : "approved; the plan itself comes with the model's owner");
      printResult(digest);
    });
  command("revoke", "run this plan no more")
    .argument("<digest>", "the plan's digest")
    .action((digest: string, flags: TrustFlags) => {
      if (!shelfOf(flags).revoke(digest)) {
        throw fail({ code: "E0201", what: "the plan was not approved", where: digest, fix: "see pumac trust list" });
      }
      printResult(digest);
    });
  command("list", "the plans that are known, and where they stand")
    .option("--json", "print one JSON document")
    .action((flags: TrustFlags) => {
      const plans = [...shelfOf(flags).list()].map(([digest, standing]) => ({ digest, standing }));
      if (flags.json === true) {
        printJson({ schema: "pumac.trust/1", plans });
      } else {
        plans.forEach(({ digest, standing }) => void printResult(`${digest} ${standing}`));
      }
    });
}

function shelfOf({ topology }: TrustFlags): PlanShelf {
  return new PlanShelf(loadTopology(topology).folder);
}

function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/i.test(text);
}

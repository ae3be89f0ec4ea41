/** `pumac doctor`: what this machine offers, and whether it is enough. Exit 10 when something that is needed fails. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { availableParallelism, freemem, tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { formatBytes } from "../analysis/units.js";
import { createIdentities } from "../client/identities.js";
import { checkTopology, throwProblems } from "../client/remote/doctor.js";
import { loadPlan } from "../formats/plan-file.js";
import { loadTopology } from "../formats/topology.js";
import { fail } from "../ir/diagnostics.js";
import { loadKernels } from "../runtime/kernels/load.js";
import { colours, parseSeconds, printJson, printResult } from "./terminal.js";

interface Check {
  readonly name: string;
  /** "slow" works, but not as well as it could. */
  readonly state: "ok" | "slow" | "failed";
  readonly detail: string;
}

interface DoctorFlags {
  readonly json?: boolean;
  readonly topology?: string;
  readonly plan?: string;
  readonly timeout: number;
}

export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description("check this machine: Node, kernels, sockets, certificates, memory; or every link of a topology")
    .option("--topology <file>", "check every link to the parties and between them, instead")
    .option("--plan <file>", "with --topology: also whether this plan is approved and its weights are shared")
    .option("--timeout <seconds>", "how long a silent party is waited for", parseSeconds, 5)
    .option("--json", "print one JSON document")
    .action(async ({ json, topology, plan, timeout }: DoctorFlags) => {
      const digest = plan === undefined ? undefined : loadPlan(plan).digest;
      const links =
        topology === undefined ? undefined : await checkTopology(loadTopology(topology), timeout * 1000, digest);
      const checks = links ?? [
        ...[checkNode(), checkKernels(), await checkSockets(), await checkCertificates(), checkMemory()],
      ];
      if (json === true) {
        printJson({ schema: "pumac.doctor/1", checks });
      } else {
        const paint = { ok: colours.green, slow: colours.yellow, failed: colours.red };
        checks.forEach(({ name, state, detail }) => {
          printResult(`${paint[state](state.padEnd(7))}${name.padEnd(15)}${detail}`);
        });
      }
      throwProblems(links ?? []);
      const failed = checks.filter(({ state }) => state === "failed");
      if (failed.length > 0) {
        throw fail(...failed.map(({ name, detail }) => ({ code: "E1001", what: detail, where: name }) as const));
      }
    });
}

function checkNode(): Check {
  const major = Number(process.versions.node.split(".")[0]);
  return {
    name: "Node.js",
    state: major >= 20 ? "ok" : "failed",
    detail: `${process.version} (20 or newer is needed)`,
  };
}

function checkKernels(): Check {
  const { create, warning } = loadKernels();
  const kernels = create(64);
  const { name } = kernels;
  kernels.close();
  const detail = `${name}, ${availableParallelism()} processors`;
  return { name: "kernels", state: warning === undefined ? "ok" : "slow", detail: warning ?? detail };
}

/** Whether a Unix socket can be made in a private folder. */
async function checkSockets(): Promise<Check> {
  const name = "sockets";
  try {
    const folder = mkdtempSync(join(tmpdir(), "pumac-"));
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(join(folder, "doctor.sock"), resolve);
    });
    server.close();
    rmSync(folder, { recursive: true, force: true });
    return { name, state: "ok", detail: `Unix sockets in ${tmpdir()}` };
  } catch (error) {
    return { name, state: "failed", detail: error instanceof Error ? error.message : String(error) };
  }
}

async function checkCertificates(): Promise<Check> {
  const identities = await createIdentities(["P0"], 1);
  return { name: "certificates", state: "ok", detail: `made ${identities.size}, OpenSSL ${process.versions.openssl}` };
}

const LITTLE_MEMORY = 1e9;

function checkMemory(): Check {
  const free = freemem();
  return { name: "memory", state: free < LITTLE_MEMORY ? "slow" : "ok", detail: `${formatBytes(free)} free` };
}

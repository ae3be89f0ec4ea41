/** What this machine offers a party or an owner, and whether it is enough. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createIdentities } from "../client/identities.js";
import { loadKernels } from "../runtime/kernels/load.js";
import { memoryLeft } from "./memory.js";
import { formatBytes } from "./units.js";

export interface Check {
  readonly name: string;
  /** "slow" works, but not as well as it could. */
  readonly state: "ok" | "slow" | "failed";
  readonly detail: string;
}

/** Node, kernels, sockets, certificates, memory. */
export async function checkMachine(): Promise<readonly Check[]> {
  return [checkNode(), checkKernels(), await checkSockets(), await checkCertificates(), checkMemory()];
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
  const free = memoryLeft();
  return { name: "memory", state: free < LITTLE_MEMORY ? "slow" : "ok", detail: `${formatBytes(free)} free` };
}

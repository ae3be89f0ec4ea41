/** A NATS server of a test's or a program's own: a free port of the loopback interface, a temporary folder. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.js";

const SERVER = ["/usr/sbin/nats-server", "/usr/local/bin/nats-server", "/usr/bin/nats-server"].find(existsSync);

/** Why tests of the queue's server are skipped; undefined where they are not. */
export const WITHOUT_NATS = SERVER === undefined ? "no nats-server on this machine: skipped" : undefined;

export interface NatsServer {
  readonly url: string;
  /** Ends it at once, as a machine that loses its power. */
  kill(): Promise<void>;
  /** Starts it again, at its place, with what it kept. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startNats(): Promise<NatsServer> {
  const folder = mkdtempSync(join(tmpdir(), "pumac-nats-"));
  const port = await freePort();
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const words = ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", folder];
    child = spawn(SERVER!, words, { stdio: "ignore" });
    await listening(port);
  };
  const kill = async (): Promise<void> => {
    const ended = new Promise((resolve) => child?.once("exit", resolve));
    if (child?.exitCode === null && child.kill("SIGKILL")) {
      await ended;
    }
    child = undefined;
  };
  await start();
  return {
    url: `nats://127.0.0.1:${port}`,
    kill,
    restart: start,
    stop: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (isThere) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("nats-server does not listen");
}

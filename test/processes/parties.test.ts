/**
 * Parties that stay, as processes: the command line from keys to an answer, a party that stalls is named while it was
 * busy with a session, a party that is told to stop finishes what runs, and what is wrong with files and certificates
 * has its documented status.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../bench/free-port.js";
import { PARTIES, type PartyName } from "../../runtime/transport.js";
import { MAIN, pumac, type Running, startPumac, temporaryFolder } from "./command.js";
import { documentOf } from "./documents.js";

const MODEL = join(import.meta.dirname, "..", "..", "models", "fixtures", "bert_cls.t5.legacy.eager.op11.dyn");
const DATA = join(MODEL, "test_data_set_0");
const folder = temporaryFolder();
const plan = join(folder, "small.pumac");
const NAMES = ["P0", "P1", "P2", "lab", "clinic", "stranger"] as const;
const parties = new Map<PartyName, Running>();
const topologyOf = (name: (typeof NAMES)[number]): readonly string[] => [
  "--topology",
  join(folder, name, `${name}.toml`),
];
/** A mount of its own for one process, where the system lets this user make one. */
const UNSHARE = ["unshare", "--user", "--map-root-user", "--mount", "--fork", "--kill-child"] as const;
const tried = [...UNSHARE.slice(1), "sh", "-c", "mount -t tmpfs none /mnt"];
const mounts = process.platform === "linux" && spawnSync(UNSHARE[0], tried).status === 0;
const ofPlan = ["--plan", plan];
const ask = ["infer", plan, "--inputs", DATA, ...topologyOf("clinic")];

async function mustRun(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await pumac(...args);
  expect(stderr + stdout).not.toMatch(/error\[/);
  expect(status).toBe(0);
  return stdout;
}

/** Where a party is watched. */
async function watchOf(name: PartyName): Promise<{ readonly port: number }> {
  return JSON.parse((await parties.get(name)!.said(/.*"watched".*/))[0]);
}

async function startParty(name: PartyName): Promise<void> {
  const running = startPumac(["party", ...topologyOf(name), "--timeout", "3", "--watch", "0"]);
  await running.said(/"watched"/);
  parties.set(name, running);
}

beforeAll(async () => {
  const ports = await Promise.all(PARTIES.map(freePort));
  const compiled = mustRun("compile", join(MODEL, "model.onnx"), "--dim", "batch=1,seq=8", "-o", plan);
  await Promise.all(
    NAMES.map((name, i) => {
      const who = i < 3 ? ["--party", name, "--address", `127.0.0.1:${ports[i]}`] : ["--owner", name];
      return mustRun("init", ...who, "--folder", join(folder, name));
    }),
  );
  const shown = (name: string) => join(folder, name, `${name}.public.toml`);
  // Nobody takes the stranger's public part, who knows everybody.
  await Promise.all(
    NAMES.map((name) => {
      const others = NAMES.filter((other) => other !== name && other !== "stranger").map(shown);
      return mustRun("topology", "add", ...others, ...topologyOf(name));
    }),
  );
  await compiled;
  await Promise.all(PARTIES.map((name) => mustRun("trust", "approve", plan, ...topologyOf(name))));
  await Promise.all(PARTIES.map(startParty));
  const shared = await mustRun("share", join(MODEL, "model.onnx"), "--plan", plan, ...topologyOf("lab"), "--json");
  expect(documentOf(shared).schema).toBe("pumac.share/1");
  renameSync(join(folder, "lab"), join(folder, "lab-is-gone"));
});

afterAll(async () => {
  for (const { child } of parties.values()) {
    child.kill("SIGKILL");
  }
  await Promise.all([...parties.values()].map(({ finished }) => finished));
});

describe("three parties that stay", () => {
  it("answer as the model does, when its owner is gone, and predict what a question costs", async () => {
    const { stdout, stderr, status } = await pumac(...ask, "--expect", DATA, "--tolerance", "0.02");
    expect(stderr).toContain("is as expected");
    expect(stdout).toMatch(/^logits \[1,\d\]: /m);
    expect(status).toBe(0);
    const input = /bytes input +([\d.]+ \w+) +([\d.]+ \w+)/.exec(stderr);
    expect(input?.[1]).toBe(input?.[2]);
    const { measured, schema } = JSON.parse(await mustRun(...ask, "--json"));
    const { cost } = JSON.parse(await mustRun("inspect", plan, "--json"));
    expect(schema).toBe("pumac.run/1");
    expect([measured.rounds, measured.bytes.total]).toEqual([cost.rounds, cost.bytes.total]);
    expect(measured.bytes.input).toBeLessThan(cost.bytes.input / 2);
  });

  it("take nobody whose certificate they do not know", async () => {
    const { status, stderr } = await pumac("infer", plan, "--inputs", DATA, ...topologyOf("stranger"));
    expect(stderr).toMatch(/E0701.*P\d hung up before its first answer/);
    expect(status).toBe(7);
  });

  it("are looked at by the doctor, from here and among themselves", async () => {
    const whole = JSON.parse(await mustRun("doctor", ...topologyOf("clinic"), "--plan", plan, "--json"));
    const names = whole.checks.map(({ name, state }: { name: string; state: string }) => `${name} ${state}`);
    expect(whole.schema).toBe("pumac.doctor/1");
    for (const each of ["clinic to P2 ok", "P2 clock ok", "P0 plan ok", "P1 to P0 ok", "P0 to P2 ok", "weights ok"]) {
      expect(names).toContain(each);
    }
    expect(await mustRun("doctor", ...topologyOf("P1"))).toMatch(/ok +P1 to P2 +[\d.]+ ms/);
    const refused = await pumac("doctor", ...topologyOf("stranger"), "--timeout", "1");
    expect(refused.stdout).toMatch(/failed +stranger to P0/);
    expect([6, 7]).toContain(refused.status);
  });

  it("answer a question that was prepared while P0 stands still, and say of it what it was", async () => {
    const made = documentOf(await mustRun("prepare", plan, ...topologyOf("clinic"), "--json"));
    const { cost } = JSON.parse(await mustRun("inspect", plan, "--json"));
    expect(made).toMatchObject({ schema: "pumac.prepare/1", made: 1, ready: 1, bytes: cost.prepared });
    expect(await mustRun("doctor", ...topologyOf("clinic"))).toMatch(/P2 room .*1 prepared questions in/);
    const { child } = parties.get("P0")!;
    child.kill("SIGSTOP");
    const { measured } = JSON.parse(await mustRun(...ask, "--json").finally(() => child.kill("SIGCONT")));
    expect([measured.bytes.offline, measured.bytes.total]).toEqual([0, cost.bytes.online]);
    expect(await mustRun("prepare", plan, ...topologyOf("clinic"), "--count", "0")).toMatch(/^0 made, .*; 0 ready/);
    const { sessions } = documentOf(await mustRun("party", "audit", ...topologyOf("P2"), "--json"));
    expect((sessions as readonly { prepared: string }[]).map(({ prepared }) => prepared).slice(-2)).toEqual([
      "made",
      "used",
    ]);
  });

  it("name the one that stalls, and go on when it goes on", async () => {
    const { child } = parties.get("P2")!;
    child.kill("SIGSTOP");
    const { status, stderr } = await pumac(...ask, "--timeout", "2");
    child.kill("SIGCONT");
    expect(stderr).toMatch(/E060[12].*P2/);
    expect(status).toBe(6);
    await mustRun(...ask);
  });

  it("keep what they know in files of their own, and write every session down", async () => {
    const document = documentOf(await mustRun("party", "audit", ...topologyOf("P1"), "--json"));
    expect(document.schema).toBe("pumac.audit/1");
    const [first] = document.sessions as readonly object[];
    expect(first).toMatchObject({ asker: "clinic", outcome: "answered" });
  });

  it("say which plans they know", async () => {
    const list = documentOf(await mustRun("trust", "list", ...topologyOf("P2"), "--json"));
    expect(list).toMatchObject({ schema: "pumac.trust/1", plans: [{ standing: "approved" }] });
  });

  it("are watched on a port of their own", async () => {
    const { port } = await watchOf("P0");
    const get = async (path: string) => await fetch(`http://127.0.0.1:${port}${path}`);
    expect(await (await get("/healthz")).text()).toBe("ok\n");
    expect(await (await get("/readyz")).json()).toEqual({ ready: true, draining: false, expiring: [] });
    const metrics = await (await get("/metrics")).text();
    expect(metrics).toMatch(/^pumac_sessions_total\{outcome="answered"\} [1-9]/m);
    expect(metrics).toMatch(/^pumac_sent_bytes_total\{to="P2"\} [1-9]/m);
    expect(metrics).toMatch(/^pumac_wait_seconds_total\{for="data"\} \d+\.\d/m);
    const waits = await (await fetch(`http://127.0.0.1:${(await watchOf("P1")).port}/metrics`)).text();
    expect(waits).toMatch(/^pumac_wait_seconds_total\{for="P2"\} \d+\.\d/m);
    expect((await get("/secrets")).status).toBe(404);
  });

  it("end with 0 when they are told to stop, and come back with what they kept", async () => {
    const { child, finished } = parties.get("P1")!;
    child.kill("SIGTERM");
    expect((await finished).status).toBe(0);
    expect((await pumac(...ask, "--timeout", "1")).status).toBe(6);
    await startParty("P1");
    await mustRun(...ask);
  });

  it("delete a sharing when its owner says so, and say what each deleted", async () => {
    renameSync(join(folder, "lab-is-gone"), join(folder, "lab"));
    const { sharing } = documentOf(
      await mustRun("share", join(MODEL, "model.onnx"), ...ofPlan, ...topologyOf("lab"), "--json"),
    );
    const words = ["share", "--delete", String(sharing), ...topologyOf("lab"), "--json"];
    expect(documentOf(await mustRun(...words))).toMatchObject({ sharing, deleted: [{ found: true }, {}, {}] });
    expect((await pumac(...ask)).stderr).toContain("E0803");
  });

  it.skipIf(!mounts)("whose disk is full says so of that request, and lives", async () => {
    const { child, finished } = parties.get("P2")!;
    child.kill("SIGTERM");
    await finished;
    const small = join(folder, "P2", "small");
    mkdirSync(small);
    const file = join(folder, "P2", "small.toml");
    writeFileSync(
      file,
      readFileSync(join(folder, "P2", "P2.toml"), "utf8").replace(/^state = .*$/m, 'state = "small"'),
    );
    // A file system of its own, smaller than the model: nobody else sees it.
    const size = Math.ceil(1.3 * statSync(plan).size);
    const node = `"${process.execPath}" "${MAIN}"`;
    const approve = `${node} trust approve "${plan}" --topology "${file}" --quiet >/dev/null`;
    const mount = `mount -t tmpfs -o size=${size} none "${small}"`;
    const script = `${mount} && ${approve} && exec ${node} party --topology "${file}"`;
    const full = spawn(UNSHARE[0], [...UNSHARE.slice(1), "sh", "-c", script], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    full.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    try {
      await expect.poll(() => said, { timeout: 20_000 }).toContain('"listening"');
      const shared = await pumac("share", join(MODEL, "model.onnx"), ...ofPlan, ...topologyOf("lab"), "--timeout", "5");
      expect(shared.stderr).toMatch(/E0601.*P2/);
      expect(shared.status).toBe(6);
      expect(said).toMatch(/"code":"E1001".*cannot be written/);
      expect(await mustRun("doctor", ...topologyOf("clinic"))).toMatch(/ok +clinic to P2/);
    } finally {
      full.kill("SIGKILL");
    }
    await startParty("P2");
  });

  it("leave no core file when they are aborted, whatever the limit of who starts them", async () => {
    const place = join(folder, "core");
    mkdirSync(place);
    const abort = async (...command: readonly string[]): Promise<NodeJS.Signals | null> => {
      const started = ["-c", 'ulimit -c unlimited 2>/dev/null; cd "$0"; exec "$@"', place, ...command];
      const child = spawn("sh", started, { stdio: ["ignore", "ignore", "pipe"] });
      const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once("exit", (_, signal) => resolve(signal)));
      await new Promise((resolve) => child.stderr.once("data", resolve));
      child.kill("SIGABRT");
      return await ended;
    };
    const { child, finished } = parties.get("P2")!;
    child.kill("SIGTERM");
    await finished;
    expect(await abort(process.execPath, MAIN, "party", ...topologyOf("P2"))).toBe("SIGABRT");
    expect(readdirSync(place)).toEqual([]);
    // A process like any other does leave one, where this system writes them into the working folder.
    const pattern = readFileSync("/proc/sys/kernel/core_pattern", "utf8");
    expect(await abort(process.execPath, "-e", "console.error(1); setInterval(() => 0, 1000)")).toBe("SIGABRT");
    expect(pattern.startsWith("core") ? readdirSync(place).length : 1).toBe(1);
  });
});

describe("a topology", () => {
  it.each([
    ["that is no TOML", "name = ", 3, "E0305"],
    ["without a name", 'key = "a"\nstate = "b"\n[peers]\n', 3, "E0305"],
    ["that does not say who it is itself", 'name = "P0"\nkey = "a"\nstate = "b"\n[peers]\n', 3, "E0305"],
  ])("%s is refused", async (_, text, status, code) => {
    const file = join(folder, "bad.toml");
    writeFileSync(file, text);
    const ended = await pumac("infer", plan, "--inputs", DATA, "--topology", file);
    expect(ended.stderr).toContain(code);
    expect(ended.status).toBe(status);
  });

  it("whose certificate is none, whose key is gone, or that is of another organisation is refused", async () => {
    const text = readFileSync(join(folder, "clinic", "clinic.toml"), "utf8");
    const file = join(folder, "clinic", "other.toml");
    writeFileSync(file, text.replace(/MII\w+/, "MIIabc"));
    expect((await pumac("party", "--topology", file)).status).toBe(3);
    writeFileSync(file, text.replace("clinic.key", "gone.key"));
    expect((await pumac("infer", plan, "--inputs", DATA, "--topology", file)).status).toBe(3);
    const again = await pumac("init", "--owner", "clinic", "--folder", join(folder, "clinic"));
    expect([again.status, again.stderr]).toEqual([3, expect.stringContaining("there is a key already")]);
    expect((await pumac("init", "--party", "P7", "--address", "here:1")).status).toBe(2);
  });
});

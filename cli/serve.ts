/** `pumac serve`: OpenAI's API and a page on this machine, in front of the parties of a topology or of three here. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { Command } from "commander";
import { describePredicted, predictedOf } from "../analysis/predicted.js";
import { chatTemplateBeside } from "../formats/chat-template.js";
import { normalisationBeside } from "../formats/pixels.js";
import { Live } from "../gateway/live.js";
import { askLanes } from "../gateway/open-lanes.js";
import { startGateway } from "../gateway/server.js";
import { openPlan } from "../index.js";
import { fail } from "../ir/diagnostics.js";
import { endGently, reportError } from "./exit.js";
import { connectAs, type PartiesFlags, partiesOptions } from "./parties.js";
import { readingOf, sayFirst } from "./run-common.js";
import { collect, parseCount, printNote, printResult } from "./terminal.js";

interface ServeFlags extends PartiesFlags {
  readonly tokenizer: readonly string[];
  readonly labels?: string;
  readonly network: string;
  readonly host: string;
  readonly port: number;
  readonly atOnce: number;
  readonly waiting: number;
  readonly lanes?: number;
  readonly queue?: string;
  readonly queueCredentials?: string;
  readonly tokenFile?: string;
  readonly tlsKey?: string;
  readonly tlsCertificate?: string;
}

export function addServe(program: Command): void {
  partiesOptions(program.command("serve"))
    .description("serve plans to programs on this machine: OpenAI's HTTP API, and a page")
    .argument("<plans...>", "plan files; a model's name in the API is its file's")
    .option(
      "--tokenizer <file>",
      "the model's tokenizer.json, or llama2.c's tok*.bin; one for all plans or each",
      collect,
      [],
    )
    .option("--labels <file>", "what classes are called (default: id2label of the config.json beside the model)")
    .option("--network <network>", "what times are predicted for: lan, wan or BANDWIDTH,RTT", "lan")
    .option("--host <address>", "where to listen; beyond this machine it takes a token and TLS", "127.0.0.1")
    .option("--port <number>", "0 takes any that is free", parseCount, 8000)
    .option("--at-once <number>", "how many questions and conversations may run at a time", parseCount, 1)
    .option("--waiting <number>", "how many more may wait", parseCount, 16)
    .option("--lanes <number>", "with --topology: ask so many of its lanes, one question each at a time", parseCount)
    .option("--queue <url>", "with --lanes: a NATS server with JetStream (default: a queue in this process)")
    .option("--queue-credentials <file>", "its credentials")
    .option("--token-file <file>", "who asks must give this token (authorization: Bearer)")
    .option("--tls-key <file>", "a private key, PEM")
    .option("--tls-certificate <file>", "its certificate, PEM")
    .action(serve);
}

async function serve(paths: readonly string[], flags: ServeFlags): Promise<void> {
  const { local, host, port, tokenFile, tlsKey, tlsCertificate, waiting, lanes, topology } = flags;
  const atOnce = lanes ?? flags.atOnce;
  if (lanes === 0 || (lanes !== undefined && topology === undefined)) {
    throw fail({ code: "E0201", what: "--lanes is of a topology, one at least", fix: "add --topology FILE" });
  }
  const open = paths.map((path) => openPlan(path, flags.weights));
  open.forEach(({ plan }) => void sayFirst(plan));
  const plans = open.map((loaded, i) => {
    const tokenizer = flags.tokenizer[i] ?? flags.tokenizer[0];
    return {
      ...{ id: basename(paths[i]).replace(/\.[^.]+$/, ""), loaded },
      reading: readingOf({ ...flags, tokenizer }, local === true ? loaded : undefined),
      template: tokenizer === undefined ? undefined : chatTemplateBeside(tokenizer),
      normalisation: local === true ? normalisationBeside(loaded.files().model) : undefined,
      predicted: predictedOf(loaded, flags.network),
    };
  });
  const read = (path: string | undefined) => (path === undefined ? undefined : readFileSync(path, "utf8").trim());
  const [token, key, cert] = [tokenFile, tlsKey, tlsCertificate].map(read);
  const live = new Live();
  const gateway = await startGateway({
    ...{ plans, live, isLocal: local === true, host, port, token, queue: { atOnce, waiting } },
    ...(key !== undefined && cert !== undefined && { tls: { key, cert } }),
    connect: async () => {
      if (lanes !== undefined && topology !== undefined) {
        const [server, credentials] = [flags.queue, flags.queueCredentials];
        const given = { topology, lanes, server, credentials, timeout: 1000 * flags.timeout };
        return await askLanes({ ...given, capacity: 2 * (lanes + waiting), onTrouble: printNote });
      }
      const parties = await connectAs(flags, open, {
        onSeen: (seen) => live.show({ ...seen, at: seen.party }),
        atOnce,
      });
      const { ask, converse, close } = parties;
      return {
        ask: (loaded, values, options) => ask(values, options, loaded),
        converse: (loaded, options) => converse(options, loaded),
        close,
      };
    },
    onBug: reportError,
  });
  gateway.plans.forEach((each) => void printNote(describePredicted(each)));
  printResult(gateway.url);
  await new Promise<void>(endGently);
  await gateway.close();
}

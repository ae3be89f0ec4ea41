/**
 * `pumac init` makes an organisation's key, its certificate and its topology file; `pumac topology add` takes the
 * public part of another organisation.
 */
import type { Command } from "commander";
import { foundOrganisation, introduce } from "../client/organisation.js";
import { fail } from "../ir/diagnostics.js";
import { PARTIES } from "../runtime/transport.js";
import { parseCount, printNote, printResult } from "./terminal.js";

interface InitFlags {
  readonly party?: string;
  readonly owner?: string;
  readonly address?: string;
  readonly folder: string;
  readonly days: number;
  readonly renew?: boolean;
}

export function addInit(program: Command): void {
  program
    .command("init")
    .description("make this organisation's key, certificate and topology file")
    .option("--party <name>", "be a party: P0, P1 or P2")
    .option("--owner <name>", "be an owner of a model or of data, by a name of your choice")
    .option("--address <host:port>", "where the other organisations reach this party")
    .option("--folder <folder>", "where the files go", ".")
    .option("--days <number>", "how long the certificate is valid", parseCount, 365)
    .option("--renew", "make a new key and certificate; both certificates are known until the others --replace the old")
    .action(async (flags: InitFlags) => {
      const name = nameOf(flags);
      const { file, publicFile, fingerprint } = await foundOrganisation({
        ...flags,
        name,
        renew: flags.renew === true,
      });
      printNote(`${file}: this organisation's topology; its key lies beside it and stays here`);
      printNote(`${publicFile}: give this to the other organisations, and read them the fingerprint by another way`);
      printResult(`${name} ${fingerprint}`);
    });
}

function nameOf({ party, owner, address, renew }: InitFlags): string {
  const isParty = (PARTIES as readonly (string | undefined)[]).includes(party);
  if ((party === undefined) === (owner === undefined) || (party !== undefined && !isParty)) {
    throw fail({ code: "E0201", what: "who is this?", fix: "give --party P0, P1 or P2, or --owner NAME" });
  }
  if (isParty && address === undefined && renew !== true) {
    throw fail({ code: "E0201", what: "a party has an address", fix: "add --address HOST:PORT" });
  }
  if (owner !== undefined && (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,30}$/.test(owner) || /^P\d/.test(owner))) {
    throw fail({ code: "E0201", what: `'${owner}' is no name of an owner`, fix: "use letters, digits, - and _" });
  }
  return party ?? owner ?? "";
}

export function addTopology(program: Command): void {
  const topology = program.command("topology").description("what this organisation knows of the others");
  topology
    .command("add")
    .description("take the public part of other organisations")
    .argument("<file...>", "files that pumac init wrote for others: NAME.public.toml")
    .requiredOption("--topology <file>", "this organisation's topology")
    .option("--replace", "take new certificates in place of known ones, not beside them")
    .action((files: readonly string[], { topology: known, replace }: { topology: string; replace?: boolean }) => {
      for (const { name, fingerprint } of introduce(files, { topology: known, replace: replace === true })) {
        printResult(`${name} ${fingerprint}`);
      }
      printNote("compare each fingerprint with what its owner says");
    });
}

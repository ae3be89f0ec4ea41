/**
 * `pumac init` makes an organisation's key, its certificate and its topology file; `pumac topology add` takes the
 * public part of another organisation. Nobody signs anything: a peer is its certificate, compared by its fingerprint.
 */
import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { createCertificate } from "../client/identities.js";
import {
  loadPublicPart,
  loadTopology,
  type PublicPart,
  saveKey,
  savePublicPart,
  saveTopology,
  type TopologyPeer,
} from "../formats/topology.js";
import { fail } from "../ir/diagnostics.js";
import { fingerprintOf } from "../runtime/identity.js";
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
      mkdirSync(flags.folder, { recursive: true });
      const file = join(flags.folder, `${name}.toml`);
      const keyFile = join(flags.folder, `${name}.key`);
      const before = flags.renew === true ? loadTopology(file) : undefined;
      const { key, certificate } = await createCertificate(name, flags.days);
      const known = before?.peers[name];
      const address = flags.address ?? known?.address;
      const own: TopologyPeer = {
        ...(address !== undefined && { address }),
        certificates: [certificate, ...(known?.certificates.slice(0, 1) ?? [])],
      };
      if (before !== undefined) {
        renameSync(keyFile, `${keyFile}.old`);
      }
      saveKey(keyFile, key);
      const peers = { ...before?.peers, [name]: own };
      saveTopology({ file, name, key: `${name}.key`, state: before?.state ?? `${name}.state`, peers });
      const shown = join(flags.folder, `${name}.public.toml`);
      savePublicPart(shown, { peers: { [name]: own } });
      printNote(`${file}: this organisation's topology; its key lies beside it and stays here`);
      printNote(`${shown}: give this to the other organisations, and read them the fingerprint by another way`);
      printResult(`${name} ${fingerprintOf(certificate, name)}`);
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
    .action((files: readonly string[], flags: { topology: string; replace?: boolean }) => {
      const known = loadTopology(flags.topology);
      let peers: PublicPart["peers"] = known.peers;
      for (const file of files) {
        for (const [name, part] of Object.entries(loadPublicPart(file).peers)) {
          if (name === known.name) {
            throw fail({ code: "E0305", what: `it is of ${name}, which this organisation is itself`, where: file });
          }
          peers = { ...peers, [name]: flags.replace === true ? part : besides(peers[name], part) };
          const prints = part.certificates.map((certificate) => fingerprintOf(certificate, file));
          prints.forEach((fingerprint) => void printResult(`${name} ${fingerprint}`));
        }
      }
      saveTopology({ ...known, peers });
      printNote("compare each fingerprint with what its owner says");
    });
}

/** A name has two certificates at most: while one takes the place of the other. */
function besides(known: TopologyPeer | undefined, part: TopologyPeer): TopologyPeer {
  const certificates = [...new Set([...part.certificates, ...(known?.certificates ?? [])])].slice(0, 2);
  return { ...part, certificates };
}

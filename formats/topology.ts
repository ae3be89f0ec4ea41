/**
 * Topology files (TOML): what one organisation knows of a deployment. Who it is itself, where its key and its state
 * are, and under `[peers.NAME]` every organisation, itself too, with the certificates that it is known by and, for a
 * party, its address. A public part is a file with such a table only; that is what organisations give each other.
 */
import { existsSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { parse, stringify, TomlError } from "smol-toml";
import {
  array,
  type GenericSchema,
  type InferOutput,
  integer,
  minLength,
  minValue,
  number,
  object,
  optional,
  pipe,
  record,
  regex,
  safeParse,
  string,
} from "valibot";
import { fail } from "../ir/diagnostics.js";
import { FOR_ALL, readBytes, writeWhole } from "./files.js";

const PEER = object({
  address: optional(pipe(string(), regex(/^.+:\d+$/, "is no HOST:PORT"))),
  /** So many processes of the party serve all lanes, in turn; one each, without. */
  lanes: optional(pipe(number(), integer(), minValue(1))),
  certificates: pipe(array(string()), minLength(1)),
});
const NAME = pipe(string(), regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,30}$/, "is no name"));
const PUBLIC_PART = object({ peers: record(NAME, PEER) });
const TOPOLOGY = object({ name: NAME, key: string(), state: string(), peers: record(NAME, PEER) });

export type TopologyPeer = InferOutput<typeof PEER>;
export type PublicPart = InferOutput<typeof PUBLIC_PART>;

export interface Topology extends InferOutput<typeof TOPOLOGY> {
  readonly file: string;
  /** The private key, PEM. */
  readonly secret: string;
  /** The folder of what this organisation keeps. */
  readonly folder: string;
  /** Which lane of the parties is meant; the first without. */
  readonly lane?: number;
}

/** A lane of parties: one organisation each, with one process for each lane. */
export function laneOf(topology: Topology, lane: number): Topology {
  return { ...topology, lane };
}

/** Reads a topology and its key. E0301 where a file is missing, E0305 where something is wrong with it. */
export function loadTopology(file: string): Topology {
  const content = read(file, TOPOLOGY);
  if (content.peers[content.name] === undefined) {
    throw fail({ code: "E0305", what: `it holds no public part of ${content.name} itself`, where: file });
  }
  const place = (path: string): string => (isAbsolute(path) ? path : join(dirname(file), path));
  const secret = new TextDecoder().decode(readBytes(place(content.key)));
  return { ...content, file, secret, folder: place(content.state) };
}

interface OwnIdentity {
  readonly key: string;
  readonly certificate: string;
  readonly pinned: Readonly<Record<string, readonly string[]>>;
}

/** One for each topology: what is made of an identity is made once. */
const identities = new WeakMap<Topology, OwnIdentity>();

/** The key, its certificate, and every organisation's certificates: what a link over TLS is made with. */
export function identityOf(topology: Topology): OwnIdentity {
  const known = identities.get(topology);
  if (known !== undefined) {
    return known;
  }
  const { name, secret, peers } = topology;
  const pinned = Object.fromEntries(Object.entries(peers).map(([peer, { certificates }]) => [peer, certificates]));
  const identity = { key: secret, certificate: peers[name].certificates[0], pinned };
  identities.set(topology, identity);
  return identity;
}

/** A public part, or all public parts of a topology. */
export function loadPublicPart(file: string): PublicPart {
  return read(file, PUBLIC_PART);
}

function read<T>(file: string, schema: GenericSchema<unknown, T>): T {
  let content: unknown;
  try {
    content = parse(new TextDecoder("utf-8", { fatal: true }).decode(readBytes(file)));
  } catch (error) {
    if (error instanceof TypeError || error instanceof TomlError) {
      const why = error.message.split("\n")[0];
      throw fail({ code: "E0305", what: "the topology is no TOML", where: file, why });
    }
    throw error;
  }
  const parsed = safeParse(schema, content);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const path = issue.path?.map(({ key }) => String(key)).join(".");
    const fix = "write it with pumac init and pumac topology add";
    throw fail({
      code: "E0305",
      what: "the topology is not understood",
      where: file,
      why: `${path}: ${issue.message}`,
      fix,
    });
  }
  return parsed.output;
}

/** Writes a topology anew; comments in it are lost. */
export function saveTopology({ file, name, key, state, peers }: Omit<Topology, "secret" | "folder">): void {
  writeWhole(file, "the topology", stringify({ name, key, state, peers }), FOR_ALL);
}

export function savePublicPart(file: string, part: PublicPart): void {
  writeWhole(file, "the public part", stringify(part), FOR_ALL);
}

/** Writes a private key (0600). E0305 where there is one already. */
export function saveKey(file: string, key: string): void {
  if (existsSync(file)) {
    const fix = "keep it, or move it away first; with another key the others must be given the new public part";
    throw fail({ code: "E0305", what: "there is a key already", where: file, fix });
  }
  writeWhole(file, "the key", key);
}

/**
 * A party's address, host and port. A lane's is at `{lane}` in the address, its number, or else so many ports higher;
 * where the party has `lanes` processes for all lanes, lane N is served by number N mod `lanes`.
 * E0305 where the topology has none.
 */
export function addressOf(
  { file, peers, lane: wanted = 0 }: Topology,
  party: string,
): { readonly host: string; readonly port: number } {
  const address = peers[party]?.address;
  const lane = wanted % (peers[party]?.lanes ?? Number.POSITIVE_INFINITY);
  if (address === undefined) {
    const fix = `pumac topology add with the public part of ${party}`;
    throw fail({ code: "E0305", what: `the topology holds no address of ${party}`, where: file, fix });
  }
  const at = address.lastIndexOf(":");
  const isNamed = address.includes("{lane}");
  const host = address.slice(0, at).replaceAll("{lane}", String(lane));
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(address.slice(at + 1)) + (isNamed ? 0 : lane) };
}

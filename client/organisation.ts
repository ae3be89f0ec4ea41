/**
 * An organisation in a deployment: its key, its certificate, and its topology with what it knows of the others. Nobody
 * signs anything: a peer is its certificate, compared by its fingerprint.
 */
import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
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
import { createCertificate } from "./identities.js";

export interface Founding {
  readonly name: string;
  /** HOST:PORT of a party. */
  readonly address?: string | undefined;
  readonly folder: string;
  /** How long the certificate is valid. */
  readonly days: number;
  /** Makes a new key; both certificates are known until the others take the new one in place of the old. */
  readonly renew: boolean;
}

/** The files of an organisation, and the fingerprint that others compare. */
export interface Founded {
  readonly file: string;
  /** What is given to the others. */
  readonly publicFile: string;
  readonly fingerprint: string;
}

/** Writes NAME.key, NAME.toml and NAME.public.toml. E0305 where there is a key already. */
export async function foundOrganisation({ name, address, folder, days, renew }: Founding): Promise<Founded> {
  mkdirSync(folder, { recursive: true });
  const [file, keyFile, publicFile] = ["toml", "key", "public.toml"].map((end) => join(folder, `${name}.${end}`));
  const before = renew ? loadTopology(file) : undefined;
  const { key, certificate } = await createCertificate(name, days);
  const known = before?.peers[name];
  const reached = address ?? known?.address;
  const own: TopologyPeer = {
    ...(reached !== undefined && { address: reached }),
    certificates: [certificate, ...(known?.certificates.slice(0, 1) ?? [])],
  };
  if (before !== undefined) {
    renameSync(keyFile, `${keyFile}.old`);
  }
  saveKey(keyFile, key);
  const peers = { ...before?.peers, [name]: own };
  saveTopology({ file, name, key: `${name}.key`, state: before?.state ?? `${name}.state`, peers });
  savePublicPart(publicFile, { peers: { [name]: own } });
  return { file, publicFile, fingerprint: fingerprintOf(certificate, name) };
}

/** Takes the public parts of others into a topology; each of their names with a fingerprint. E0305. */
export function introduce(
  files: readonly string[],
  { topology, replace }: { readonly topology: string; readonly replace: boolean },
): readonly { readonly name: string; readonly fingerprint: string }[] {
  const known = loadTopology(topology);
  let peers: PublicPart["peers"] = known.peers;
  const met = files.flatMap((file) =>
    Object.entries(loadPublicPart(file).peers).flatMap(([name, part]) => {
      if (name === known.name) {
        throw fail({ code: "E0305", what: `it is of ${name}, which this organisation is itself`, where: file });
      }
      peers = { ...peers, [name]: replace ? part : besides(peers[name], part) };
      return part.certificates.map((certificate) => ({ name, fingerprint: fingerprintOf(certificate, file) }));
    }),
  );
  saveTopology({ ...known, peers });
  return met;
}

/** A name has two certificates at most: while one takes the place of the other. */
function besides(known: TopologyPeer | undefined, part: TopologyPeer): TopologyPeer {
  const certificates = [...new Set([...part.certificates, ...(known?.certificates ?? [])])].slice(0, 2);
  return { ...part, certificates };
}

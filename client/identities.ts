/** Keys and certificates for a session on one machine, or for an exchange between organisations. */
import type { Identity } from "../runtime/identity.js";
import { systemRandom } from "../runtime/keys.js";

const DAY = 86_400_000;

/** A fresh key and a certificate that it has signed itself, PEM, valid for so many days. */
export async function createCertificate(name: string, days: number): Promise<Omit<Identity, "pinned">> {
  // Loaded here, because few sessions make certificates and it takes longer to load than the rest of the runtime.
  const { generate } = await import("selfsigned");
  const options = {
    keyType: "ec",
    curve: "P-256",
    algorithm: "sha256",
    notAfterDate: new Date(Date.now() + days * DAY),
  };
  // No two certificates have one subject: among those of a name, TLS would look for the issuer by it, and find either.
  const once = Buffer.from(systemRandom(8)).toString("hex");
  const attributes = [{ name: "commonName", value: `pumac ${name} ${once}` }];
  const { private: key, cert } = await generate(attributes, options as Parameters<typeof generate>[1]);
  return { key, certificate: cert };
}

/** Fresh keys and certificates for these peers, valid for so many days, each knowing all the others. */
export async function createIdentities<Name extends string>(
  names: readonly Name[],
  days: number,
): Promise<ReadonlyMap<Name, Identity>> {
  const made = await Promise.all(names.map(async (name) => ({ name, ...(await createCertificate(name, days)) })));
  const pinned = Object.fromEntries(made.map(({ name, certificate }) => [name, [certificate]]));
  return new Map(made.map(({ name, ...own }) => [name, { ...own, pinned }]));
}

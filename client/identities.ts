/** Keys and certificates for a session on one machine, or for an exchange between organisations. */
import type { Identity } from "../runtime/identity.js";
import type { PeerName } from "../runtime/transport.js";

const DAY = 86_400_000;

/** Fresh keys and certificates for these peers, valid for so many days, each knowing all the others. */
export async function createIdentities(
  names: readonly PeerName[],
  days: number,
): Promise<ReadonlyMap<PeerName, Identity>> {
  // Loaded here, because few sessions make certificates and it takes longer to load than the rest of the runtime.
  const { generate } = await import("selfsigned");
  const options = {
    keyType: "ec",
    curve: "P-256",
    algorithm: "sha256",
    notAfterDate: new Date(Date.now() + days * DAY),
  };
  const made = await Promise.all(
    names.map(async (name) => {
      const attributes = [{ name: "commonName", value: `pumac ${name}` }];
      return { name, ...(await generate(attributes, options as Parameters<typeof generate>[1])) };
    }),
  );
  const pinned = Object.fromEntries(made.map(({ name, cert }) => [name, cert]));
  return new Map(made.map(({ name, private: key, cert }) => [name, { key, certificate: cert, pinned }]));
}

/**
 * Who is who over TLS: every peer has a key and a self-signed certificate, and everybody knows the fingerprint of
 * everybody's certificate beforehand (the topology). No authority, no names in DNS: a peer is its certificate.
 */
import { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { type SecureContextOptions, TLSSocket, type TlsOptions } from "node:tls";
import { fail } from "../ir/diagnostics.js";
import type { PeerName } from "./transport.js";

export interface Identity {
  /** This peer's private key and certificate, PEM. */
  readonly key: string;
  readonly certificate: string;
  /** The certificates of all peers, PEM. */
  readonly pinned: Readonly<Partial<Record<PeerName, string>>>;
}

/** TLS 1.3 with both certificates; only pinned ones are taken. */
export function tlsOptions(identity: Identity): TlsOptions & SecureContextOptions {
  return {
    key: identity.key,
    cert: identity.certificate,
    ca: Object.values(identity.pinned),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.3",
  };
}

/** Throws E0701 unless the other end of a TLS socket holds the certificate pinned for the name. */
export function checkIdentity(socket: Socket, name: PeerName, identity: Identity | undefined): void {
  if (identity === undefined) {
    return;
  }
  const pinned = identity.pinned[name];
  const shown = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  if (pinned === undefined || shown?.fingerprint256 !== new X509Certificate(pinned).fingerprint256) {
    throw fail({
      code: "E0701",
      what: `the certificate is not the one pinned for ${name}`,
      where: name,
      fix: "exchange the certificates again, and check that each machine uses its own key",
    });
  }
}

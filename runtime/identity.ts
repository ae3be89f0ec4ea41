/**
 * Who is who over TLS: every peer has a key and a self-signed certificate, and everybody knows the fingerprint of
 * everybody's certificate beforehand (the topology). No authority, no names in DNS: a peer is its certificate.
 */
import { createHash, X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import {
  type ConnectionOptions,
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  TLSSocket,
  type TlsOptions,
} from "node:tls";
import { fail } from "../ir/diagnostics.js";
import { PARTIES, type PeerName } from "./transport.js";

export interface Identity {
  /** This peer's private key and certificate, PEM. */
  readonly key: string;
  readonly certificate: string;
  /**
   * The certificates of all peers by name, PEM: the parties', and owners' of any name. A name has two while one takes
   * the place of the other.
   */
  readonly pinned: Readonly<Record<string, readonly string[]>>;
}

/** Fingerprints by certificate: a party compares the same few with whoever calls. */
const fingerprints = new Map<string, string>();
const MOST_REMEMBERED = 1024;

/** The SHA-256 of a certificate (PEM) as people compare it: hexadecimal pairs. E0305 where it is none. */
export function fingerprintOf(certificate: string, where: string): string {
  const known = fingerprints.get(certificate);
  if (known !== undefined) {
    return known;
  }
  try {
    const { fingerprint256 } = new X509Certificate(certificate);
    if (fingerprints.size >= MOST_REMEMBERED) {
      fingerprints.clear();
    }
    fingerprints.set(certificate, fingerprint256);
    return fingerprint256;
  } catch {
    throw fail({ code: "E0305", what: "a certificate cannot be read", where, fix: "exchange the public parts again" });
  }
}

const DAY = 86_400_000;
/** Certificates are warned of so many days before they expire. */
const WARN_DAYS = 30;

/** A certificate that will expire soon, or has. */
export interface Expiring {
  readonly name: string;
  readonly days: number;
}

/** Whose newest certificate expires within 30 days. `now`: milliseconds since 1970. */
export function expiringSoon(pinned: Identity["pinned"], now: number): readonly Expiring[] {
  return Object.entries(pinned).flatMap(([name, certificates]) => {
    const ends = certificates.map((certificate) => Date.parse(new X509Certificate(certificate).validTo));
    const days = Math.floor((Math.max(...ends) - now) / DAY);
    return days < WARN_DAYS ? [{ name, days }] : [];
  });
}

/** Who the three parties are, by their certificates: the same text at all who hold the same ones. */
export function trioOf(identity: Identity | undefined): string {
  const names = PARTIES.map((name) => (identity?.pinned[name] ?? []).map((pem) => fingerprintOf(pem, name)).sort());
  return createHash("sha256").update(JSON.stringify(names)).digest("hex");
}

/** TLS 1.3 with both certificates; only pinned ones are taken. */
export function tlsOptions(identity: Identity): TlsOptions & SecureContextOptions {
  return {
    key: identity.key,
    cert: identity.certificate,
    ca: Object.values(identity.pinned).flat(),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.3",
  };
}

const contexts = new WeakMap<Identity, SecureContext>();

/** The same for who dials, made once for an identity: keys and certificates are read every time otherwise. */
export function dialOptions(identity: Identity): ConnectionOptions {
  const secureContext = contexts.get(identity) ?? createSecureContext(tlsOptions(identity));
  contexts.set(identity, secureContext);
  return { secureContext, rejectUnauthorized: true, minVersion: "TLSv1.3" };
}

/**
 * The name of who is at the other end of a socket and plays this role: a party is itself; an owner has the role's name,
 * or a name of its own where no certificate is pinned for the role's. Without TLS the role's. E0701 for anybody else.
 */
export function checkIdentity(socket: Socket, role: PeerName, identity: Identity | undefined): string {
  if (identity === undefined) {
    return role;
  }
  const { pinned } = identity;
  // Parties probe each other as if they were owners; the daemon takes nothing else from them.
  const others = Object.keys(pinned).filter((name) => role === "model" || !isPartyName(name));
  const names = isPartyName(role) || role in pinned ? [role] : others;
  const shown = socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.fingerprint256 : undefined;
  const holds = (name: string): boolean =>
    (pinned[name] ?? []).some((certificate) => fingerprintOf(certificate, name) === shown);
  const name = names.find(holds);
  if (name === undefined) {
    throw fail({
      code: "E0701",
      what: `the certificate is not the one pinned for ${role}`,
      where: role,
      fix: "exchange the certificates again, and check that each machine uses its own key",
    });
  }
  return name;
}

/** Whether a name is a party's. */
export function isPartyName(name: string): boolean {
  return (PARTIES as readonly string[]).includes(name);
}

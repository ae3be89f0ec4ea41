/**
 * What a party's operator watches it by: `/healthz` (it runs), `/readyz` (it takes sessions; certificates that will
 * expire are named), `/metrics` (Prometheus). Names, counts and times, never a value. On the loopback interface in
 * plain; on any other address over TLS with the party's own certificate.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { fail } from "../ir/diagnostics.js";
import { isLoopback } from "../runtime/connect.js";
import { expiringSoon } from "../runtime/identity.js";
import type { PartyContext, SessionEnd } from "./context.js";

export class Watch {
  private readonly registry = new Registry();
  private readonly sessions = this.counter("sessions_total", "Sessions that ended, by how", ["outcome"]);
  private readonly rounds = this.counter("rounds_total", "Rounds of sessions that ended", []);
  private readonly bytes = this.counter("sent_bytes_total", "Payload bytes sent in sessions, by receiver", ["to"]);
  private readonly waits = this.counter("wait_seconds_total", "Time that sessions waited for frames, by sender", [
    "for",
  ]);
  private readonly seconds = new Histogram({
    name: "pumac_session_seconds",
    help: "How long answered sessions took",
    buckets: [0.1, 0.3, 1, 3, 10, 30, 100, 300],
    registers: [this.registry],
  });
  private server: Server | undefined;

  constructor(private readonly party: PartyContext) {
    const gauge = (name: string, help: string, value: () => number): void => {
      new Gauge({
        name: `pumac_${name}`,
        help,
        registers: [this.registry],
        collect() {
          this.set(value());
        },
      });
    };
    const { admission, settings, prepared } = party;
    gauge("sessions_running", "Sessions that run", () => admission.running);
    gauge("sessions_waiting", "Sessions that wait in the queue", () => admission.waiting);
    gauge("prepared_questions", "Prepared questions that material is kept for", () => prepared?.held.count ?? 0);
    gauge("prepared_bytes", "Their bytes on the disk", () => prepared?.held.bytes ?? 0);
    gauge("callers_refused", "Callers that were hung up on", () => party.refused);
    gauge("certificates_expiring", "Pinned certificates that expire within 30 days", () => {
      return expiringSoon(settings.identity?.pinned ?? {}, Date.now()).length;
    });
    collectDefaultMetrics({ register: this.registry });
  }

  /** Counts a session. */
  record({ outcome, rounds, sent, seconds, waits }: SessionEnd): void {
    this.sessions.inc({ outcome });
    this.rounds.inc(rounds);
    for (const [to, bytes] of Object.entries(sent)) {
      this.bytes.inc({ to }, bytes);
    }
    for (const [peer, waited] of Object.entries(waits)) {
      this.waits.inc({ for: peer }, waited);
    }
    if (outcome === "answered") {
      this.seconds.observe(seconds);
    }
  }

  /** Begins to answer; the port. E1001 where the address is taken. */
  start({ host, port }: { readonly host: string; readonly port: number }): Promise<number> {
    const answer = (request: IncomingMessage, response: ServerResponse): void => void this.answer(request, response);
    const { identity } = this.party.settings;
    const isPlain = isLoopback(host) || identity === undefined;
    const server = isPlain
      ? createServer(answer)
      : createTlsServer({ key: identity.key, cert: identity.certificate, minVersion: "TLSv1.3" }, answer);
    this.server = server;
    return new Promise((resolve, reject) => {
      server.once("error", (error) => {
        reject(fail({ code: "E1001", what: `cannot listen: ${error.message}`, where: `${host}:${port}` }));
      });
      server.listen(port, host, () => {
        const bound = server.address();
        resolve(bound !== null && typeof bound === "object" ? bound.port : port);
      });
    });
  }

  close(): void {
    this.server?.close();
    this.server?.closeAllConnections();
  }

  private async answer({ url, method }: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = method === "GET" ? url : undefined;
    if (path === "/healthz") {
      response.end("ok\n");
    } else if (path === "/readyz") {
      const expiring = expiringSoon(this.party.settings.identity?.pinned ?? {}, Date.now());
      const isReady = !this.party.isDraining && !expiring.some(({ days }) => days < 0);
      response.writeHead(isReady ? 200 : 503, { "content-type": "application/json" });
      response.end(`${JSON.stringify({ ready: isReady, draining: this.party.isDraining, expiring })}\n`);
    } else if (path === "/metrics") {
      response.setHeader("content-type", this.registry.contentType);
      response.end(await this.registry.metrics());
    } else {
      response.writeHead(404).end("not here\n");
    }
  }

  private counter<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> {
    return new Counter({ name: `pumac_${name}`, help, labelNames: [...labelNames], registers: [this.registry] });
  }
}

/**
 * A party that stays: it listens, keeps sharings of weights, and serves data owners session after session, several at a
 * time. A session that fails ends at all its peers, for a stated cause, and takes nothing else with it. The caller
 * prints; this says what happens to a log and to `events`.
 */

import { fail, PumacError } from "../ir/diagnostics.js";
import { type Address, type Caller, type Server, serve } from "../runtime/connect.js";
import { decodeControl, encodeControl } from "../runtime/control.js";
import { PROTOCOL_VERSION } from "../runtime/handshake.js";
import { type Identity, isPartyName } from "../runtime/identity.js";
import { REQUEST } from "../runtime/requests.js";
import { SocketTransport } from "../runtime/socket-transport.js";
import { Admission } from "./admission.js";
import type { PartyContext, PartySettings } from "./context.js";
import { MOST_READY, PlanShelf } from "./plans.js";
import { type Head, PreparedStore } from "./prepared.js";
import { answerProbe } from "./probe.js";
import { receiveSharing } from "./receive-sharing.js";
import { Quota, readAudit, SessionIds } from "./records.js";
import { Rendezvous } from "./rendezvous.js";
import { type AskedSession, serveSession } from "./serve-session.js";
import { SharingStore } from "./sharings.js";
import { within } from "./within.js";

const DAY = 86_400_000;

export class PartyDaemon implements PartyContext {
  readonly plans: PlanShelf;
  readonly sharings: SharingStore;
  readonly prepared: PreparedStore | undefined;
  readonly admission: Admission;
  readonly ids: SessionIds;
  readonly quota: Quota;
  readonly rendezvous: Rendezvous;
  private server: Server | undefined;
  private readonly open = new Set<SocketTransport>();
  /** Conversations that wait for their owner's next question: they have nothing to finish when the party is stopped. */
  private readonly idle = new Set<SocketTransport>();
  /** Sharings that are being changed: one request at a time. */
  private readonly busy = new Set<string>();

  constructor(private given: PartySettings) {
    const { state, party, timeout, quota, log } = given;
    this.plans = new PlanShelf(given.shelf ?? state);
    this.sharings = new SharingStore(state, party, (error) => log.warn(fieldsOf(error), "a sharing cannot be used"));
    this.prepared = party === "P0" ? undefined : new PreparedStore(state, party, Date.now());
    this.admission = new Admission(given);
    this.ids = new SessionIds(state, Date.now());
    this.quota = new Quota(quota, DAY, readAudit(state));
    this.rendezvous = new Rendezvous(timeout);
  }

  /** Begins to listen; where. E1001 where the address is taken. */
  async start(): Promise<Address> {
    const { listenAt, identity } = this.settings;
    this.server = await serve(listenAt, identity, (caller) => this.welcome(caller));
    void this.warm();
    return this.server.address;
  }

  /** Reads the plans that may run and looks through what is kept, so that the first session finds all ready. */
  private async warm(): Promise<void> {
    const approved = [...this.plans.list()].filter(([, standing]) => standing === "approved");
    try {
      for (const [digest] of approved.slice(0, MOST_READY)) {
        this.plans.open(digest);
        await new Promise((resolve) => setImmediate(resolve));
      }
      for (const sharing of this.sharings.list()) {
        await sharing.check();
      }
    } catch (error) {
      this.settings.log.warn(fieldsOf(error), "not all that is kept can be used");
    }
  }

  get settings(): PartySettings {
    return this.given;
  }

  /** Takes another identity and other addresses of its peers, from the next call on. */
  renew(identity: Identity, addresses: PartySettings["addresses"]): void {
    this.given = { ...this.given, identity, addresses };
    this.server?.renew(identity);
  }

  /** How many callers were hung up on. */
  get refused(): number {
    return this.server?.refused() ?? 0;
  }

  get isDraining(): boolean {
    return this.server === undefined;
  }

  /** Finishes the sessions that run, refuses all others, and stops to listen. */
  async drain(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    this.idle.forEach((transport) => void this.stop(transport));
    await this.admission.drain();
    server?.close();
    this.rendezvous.close();
    this.open.forEach((transport) => void this.stop(transport));
  }

  private stop(transport: SocketTransport): void {
    transport.abort(fail({ code: "E1002", what: "the party has been stopped", where: this.settings.party }));
  }

  /** Takes a caller; throws for who is not expected. */
  private welcome(caller: Caller): void {
    switch (caller.role) {
      case "P0":
      case "P1":
      case "P2":
        this.rendezvous.arrive(caller);
        return;
      case "data":
        void this.handle(caller, (transport, admitted) => this.session(caller, transport, admitted));
        return;
      case "model":
        void this.handle(caller, (transport) => this.request(caller, transport));
        return;
      default:
        throw new Error("a caller of no role");
    }
  }

  /** Serves a caller to its end; whatever goes wrong, the caller hears a cause and the party goes on. */
  private async handle(
    caller: Caller,
    serveCaller: (transport: SocketTransport, onAdmitted: (leave: () => void) => void) => Promise<void>,
  ): Promise<void> {
    const { party, timeout, log } = this.settings;
    const transport = new SocketTransport(party, timeout);
    this.open.add(transport);
    const leaving: (() => void)[] = [];
    try {
      transport.attach(caller.role, caller.socket);
      await serveCaller(transport, (leave) => leaving.push(leave));
      await transport.close();
    } catch (error) {
      transport.abort(ofRole(error, caller));
      this.settings.onError?.(error);
      log.warn({ from: caller.name, role: caller.role, ...fieldsOf(error) }, "a request failed");
    } finally {
      this.open.delete(transport);
      leaving.forEach((leave) => void leave());
    }
  }

  private async session(
    caller: Caller,
    transport: SocketTransport,
    onAdmitted: AskedSession["onAdmitted"],
  ): Promise<void> {
    const onIdle = (isIdle: boolean): void => {
      isIdle ? this.idle.add(transport) : this.idle.delete(transport);
      if (isIdle && this.isDraining) {
        this.stop(transport);
      }
    };
    const asked: AskedSession = { id: caller.id, asker: caller.name, transport, onAdmitted, onIdle };
    const end = await serveSession(this, asked);
    this.idle.delete(transport);
    this.settings.onEnd?.(end);
    if (end.error !== undefined) {
      throw end.error;
    }
  }

  private async request(caller: Caller, transport: SocketTransport): Promise<void> {
    const { timeout, log } = this.settings;
    const frame = await within(transport.receive("model"), timeout, caller.name, "a request");
    const request = decodeControl(frame, "model", REQUEST);
    if (request.version !== PROTOCOL_VERSION) {
      const why = `it speaks version ${request.version}, this party ${PROTOCOL_VERSION}`;
      throw fail({ code: "E0801", what: "the caller has another version", where: "model", why });
    }
    if (request.do === "probe") {
      await answerProbe(this, request, transport);
      return;
    }
    if (isPartyName(caller.name)) {
      throw fail({ code: "E0701", what: "a party may probe, and nothing else", where: "model" });
    }
    if (request.do === "drop") {
      const { plan, sharing = "" } = request;
      const dropped = this.forget((head) => {
        return head.asker === caller.name && head.plan === plan && head.weights.startsWith(sharing);
      });
      await transport.send("model", encodeControl(dropped));
      log.info({ plan, asker: caller.name, ...dropped }, "prepared material dropped");
      return;
    }
    if (this.busy.has(request.sharing)) {
      throw fail({ code: "E1002", what: "the sharing is being changed already", where: request.sharing });
    }
    this.busy.add(request.sharing);
    try {
      const fields = { sharing: request.sharing, owner: caller.name };
      if (request.do === "delete") {
        const deleted = this.remove(request.sharing, caller.name);
        await transport.send("model", encodeControl(deleted));
        log.info({ ...fields, ...deleted }, "sharing deleted");
        return;
      }
      const { plans, sharings: store } = this;
      const bytes = await receiveSharing(request, { transport, owner: caller.name, plans, store, now: Date.now() });
      this.forget(({ weights, plan }) => {
        const isOlder = request.plans.includes(plan) && !weights.startsWith(request.sharing);
        return isOlder || (bytes > 0 && weights.startsWith(request.sharing));
      });
      log.info({ ...fields, plans: request.plans, bytes }, "sharing received");
    } finally {
      this.busy.delete(request.sharing);
    }
  }

  private remove(id: string, owner: string): { found: boolean; bytes: number } {
    const sharing = this.sharings.get(id);
    if (sharing !== undefined && sharing.owner !== owner) {
      throw fail({ code: "E0901", what: `${owner} deletes a sharing of another owner`, where: "model" });
    }
    if (sharing === undefined) {
      return { found: false, bytes: 0 };
    }
    const { bytes } = this.forget(({ weights }) => weights.startsWith(id));
    return { found: true, bytes: bytes + this.sharings.remove(id) };
  }

  /** Removes prepared material that nothing can, or shall, use any more. */
  private forget(isMeant: (head: Head) => boolean): { readonly entries: number; readonly bytes: number } {
    return this.prepared?.remove(isMeant) ?? { entries: 0, bytes: 0 };
  }
}

/** Peers know an owner by its role: what is said of a caller is said of that. */
function ofRole(error: unknown, { name, role }: Caller): unknown {
  if (!(error instanceof PumacError) || error.diagnostics[0].where !== name) {
    return error;
  }
  const [said, ...rest] = error.diagnostics;
  return fail({ ...said, where: role }, ...rest);
}

/** What a log says of an error. */
function fieldsOf(error: unknown): object {
  if (error instanceof PumacError) {
    const [{ code, what, where, why }] = error.diagnostics;
    return { code, what, where, why };
  }
  return { bug: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

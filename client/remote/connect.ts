/** An owner's links to the three parties of a topology: TLS 1.3, both certificates pinned. */
import { addressOf, identityOf, type Topology } from "../../formats/topology.js";
import { type Diagnostic, fail, PumacError } from "../../ir/diagnostics.js";
import { dial } from "../../runtime/connect.js";
import { SocketTransport } from "../../runtime/socket-transport.js";
import { PARTIES, type PartyName, type PeerName } from "../../runtime/transport.js";

/**
 * Connects to `among` about `id` (32 hexadecimal digits); to all three without. E0601 and E0701 name the party, one
 * that is missing where the others gave up waiting; `timeout` is in ms. The signal ends it: the promise rejects with
 * the signal's reason.
 */
export async function connectParties(
  role: Extract<PeerName, "model" | "data">,
  topology: Topology,
  id: string,
  timeout: number,
  signal?: AbortSignal,
  among: readonly PartyName[] = PARTIES,
): Promise<SocketTransport> {
  signal?.throwIfAborted();
  const transport = new SocketTransport(role, timeout);
  const identity = identityOf(topology);
  const leave = (): void => transport.abort(signal?.reason);
  signal?.addEventListener("abort", leave);
  try {
    const links = among.map((party) => dial(transport, party, addressOf(topology, party), identity, timeout, id));
    const over = new Promise<never>((_, reject) => {
      transport.signal.addEventListener("abort", () => reject(transport.signal.reason));
    });
    await Promise.race([Promise.all(links), over]);
    return transport;
  } catch (error) {
    const missing = among.filter((party) => !transport.peers.has(party));
    const cause = isOfThisSide(error, role) && missing.length > 0 ? fail(...missing.map(unreached)) : error;
    transport.abort(cause);
    throw cause;
  } finally {
    signal?.removeEventListener("abort", leave);
  }
}

/** Whether a party that is there has given up, because it was asked nothing: this side waits for another one. */
function isOfThisSide(error: unknown, role: PeerName): boolean {
  const [said] = error instanceof PumacError ? error.diagnostics : [];
  return said?.code === "E0602" && said.where === role;
}

function unreached(party: PartyName): Diagnostic {
  const why = "the others were there, and gave up waiting";
  return { code: "E0601", what: `${party} cannot be reached`, where: party, why };
}

/**
 * Says the same to all who are connected and gives their first answers; `onHeard` hears of each as it comes. TLS 1.3
 * lets who dials believe that it is connected before the other end has looked at its certificate: a party that does not
 * know it hangs up without a word (E0701).
 */
export async function askAll(
  transport: SocketTransport,
  question: Uint8Array,
  onHeard: (party: PartyName) => void = () => undefined,
): Promise<ReadonlyMap<PartyName, Uint8Array>> {
  try {
    const asked = PARTIES.filter((party) => transport.peers.has(party));
    await Promise.all(asked.map((party) => transport.send(party, question)));
    const heard = asked.map(async (party): Promise<[PartyName, Uint8Array]> => {
      const answer = await transport.receive(party);
      onHeard(party);
      return [party, answer];
    });
    return new Map(await Promise.all(heard));
  } catch (error) {
    const [said] = error instanceof PumacError ? error.diagnostics : [];
    if (said?.code !== "E0601" || said.where === undefined) {
      throw error;
    }
    const what = `${said.where} hung up before its first answer`;
    const why = `${said.where} does not know this side's certificate, or was stopped in that moment`;
    const fix = `give ${said.where} this side's public part (pumac topology add); pumac doctor --topology FILE`;
    throw fail({ code: "E0701", what, where: said.where, why, fix });
  }
}

/** An owner's links to the three parties of a topology: TLS 1.3, both certificates pinned. */
import { addressOf, identityOf, type Topology } from "../../formats/topology.js";
import { dial } from "../../runtime/connect.js";
import { SocketTransport } from "../../runtime/socket-transport.js";
import { PARTIES, type PeerName } from "../../runtime/transport.js";

/** Connects to all three about `id` (32 hexadecimal digits). E0601 and E0701 name the party; `timeout` is in ms. */
export async function connectParties(
  role: Extract<PeerName, "model" | "data">,
  topology: Topology,
  id: string,
  timeout: number,
): Promise<SocketTransport> {
  const transport = new SocketTransport(role, timeout);
  const identity = identityOf(topology);
  try {
    await Promise.all(
      PARTIES.map((party) => dial(transport, party, addressOf(topology, party), identity, timeout, id)),
    );
    return transport;
  } catch (error) {
    transport.abort(error);
    throw error;
  }
}

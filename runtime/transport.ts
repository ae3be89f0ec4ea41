/**
 * The wire as a party sees it: named peers, and frames that arrive whole, unchanged and in order on each link. The
 * interpreter, the clients and the handshake are written against this; `client/local` delivers inside one
 * process, `socket-transport.ts` between processes and machines.
 */

/** The three computing parties, and the two clients: the model's owner and the data's owner. */
export type PartyName = "P0" | "P1" | "P2";
export type PeerName = PartyName | "model" | "data";

export const PARTIES = ["P0", "P1", "P2"] as const satisfies readonly PartyName[];
/** Those that compute with the inputs: all that a question needs whose material P0 has made ahead. */
export const EVALUATORS = ["P1", "P2"] as const satisfies readonly PartyName[];

export interface Transport {
  readonly self: PeerName;
  /**
   * Sends one frame. Resolves when the peer has room for more, so that a sender that awaits it runs ahead of its peer
   * by
   * a bounded amount. The transport may keep the bytes until then: the caller must not change them before it resolves.
   * Rejects with E0601 when the peer is gone.
   */
  send(to: PeerName, frame: Uint8Array): Promise<void>;
  /**
   * The next frame from a peer. Rejects with E0601 when the peer is gone, E0602 when nothing came in time, E0901 when
   * it sent what no frame can be.
   */
  receive(from: PeerName): Promise<Uint8Array>;
  /** Gives back a received frame that nobody looks at any more: its memory takes a later one. Never required. */
  release?(from: PeerName, frame: Uint8Array): void;
}

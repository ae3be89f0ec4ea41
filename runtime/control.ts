/**
 * Frames that steer a session: small JSON objects (hello, offer, report). They carry no secret except where a function
 * says so, they are not counted as payload, and a peer that sends anything else in their place is in violation.
 */
import { fail } from "../ir/diagnostics.js";

/** No control frame is longer than this. */
const LONGEST_CONTROL = 1 << 20;

export type Control = Readonly<Record<string, unknown>>;

/** The frame of a control object; equal objects with equal key order give equal bytes. */
export function encodeControl(control: Control | object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(control));
}

/** The object in a control frame; E0901 where it is none. */
export function decodeControl(frame: Uint8Array, from: string): Control {
  try {
    if (frame.length <= LONGEST_CONTROL) {
      const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(frame));
      if (typeof value === "object" && value !== null && !Array.isArray(value)) {
        return value as Control;
      }
    }
  } catch {
    // Falls through to the violation below: not text, or not JSON.
  }
  throw fail({ code: "E0901", what: "a frame is not the control message that is due", where: from });
}

/**
 * Frames that steer a session: small JSON objects (hello, offer, report). They carry no secret except where a function
 * says so, they are not counted as payload, and a peer that sends anything else in their place is in violation.
 */
import { type GenericSchema, getDotPath, safeParse } from "valibot";
import { fail } from "../ir/diagnostics.js";

/** No control frame is longer than this. */
const LONGEST_CONTROL = 1 << 20;

/** The frame of a control object; equal objects with equal key order give equal bytes. */
export function encodeControl(control: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(control));
}

/** The longest reason that is given why a frame is refused: it may quote what a stranger sent. */
const LONGEST_REASON = 200;

/**
 * The object in a control frame, which must be what the schema says; fields that it does not know are left out. E0901,
 * in the words of `refusal`, where it is something else.
 */
export function decodeControl<T>(
  frame: Uint8Array,
  from: string,
  schema: GenericSchema<unknown, T>,
  refusal = "a frame is not the control message that is due",
): T {
  const parsed = safeParse(schema, jsonOf(frame));
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const path = getDotPath(issue);
    const why = `${path === null ? "" : `${path}: `}${issue.message}`.slice(0, LONGEST_REASON);
    throw fail({ code: "E0901", what: refusal, where: from, why });
  }
  return parsed.output;
}

/** The JSON of a frame; undefined, which no schema takes, where it is none. */
function jsonOf(frame: Uint8Array): unknown {
  try {
    return frame.length <= LONGEST_CONTROL
      ? JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(frame))
      : undefined;
  } catch {
    return undefined;
  }
}

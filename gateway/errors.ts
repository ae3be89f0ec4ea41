/**
 * Errors as OpenAI's API gives them: `{ error: { message, type, param, code } }`. A message says what the plan cannot
 * do, and what would. It never holds a prompt; what is wrong with a request's own numbers is said to its
 * sender alone.
 */
import { CATALOGUE } from "../ir/catalogue.js";
import { PumacError } from "../ir/diagnostics.js";

type ApiStatus = 400 | 401 | 403 | 404 | 405 | 413 | 415 | 422 | 429 | 500 | 502 | 503;

export interface ApiDetails {
  readonly type?: string;
  /** The field of the request. */
  readonly param?: string;
  readonly code?: string;
  /** Seconds. */
  readonly retryAfter?: number;
}

export class ApiError extends Error {
  constructor(
    readonly status: ApiStatus,
    message: string,
    readonly details: ApiDetails = {},
  ) {
    super(message);
  }

  /** The document. */
  get document(): object {
    const {
      type = this.status < 500 ? "invalid_request_error" : "server_error",
      param = null,
      code = null,
    } = this.details;
    return { error: { message: this.message, type, param, code } };
  }
}

/** By exit status (CLI.md): usage, files and models are the request's; peers, disagreements and frames are beyond. */
const STATUS = { 2: 400, 3: 400, 4: 400, 5: 422, 6: 502, 7: 502, 8: 502, 9: 502, 10: 503 } as const;
/** A party that is busy is asked again after so many seconds. */
const LATER = 2;

/** What a client is told of an error; of a mistake in pumac only that there was one. */
export function apiErrorOf(error: unknown): ApiError {
  if (error instanceof ApiError) {
    return error;
  }
  if (error instanceof PumacError) {
    const [{ code, what, why, fix }] = error.diagnostics;
    const message = [what, why, fix].filter((part) => part !== undefined).join("; ");
    if (code === "E1003") {
      return new ApiError(429, message, { type: "insufficient_quota", code });
    }
    return new ApiError(STATUS[CATALOGUE[code].exit], message, {
      code,
      ...(code === "E1002" && { retryAfter: LATER }),
    });
  }
  return new ApiError(500, "a mistake in pumac: its own log says more", { code: "bug" });
}

/**
 * Who may speak to a gateway. On the loopback interface whoever is on this machine, but no page of another site: not by
 * a name that was made to point here (the Host header), and not across origins. Elsewhere whoever has the token.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { getConnInfo } from "@hono/node-server/conninfo";
import type { Context, MiddlewareHandler } from "hono";
import { ApiError } from "./errors.js";

/** What is answered to everybody: it says nothing. */
const OPEN = ["/", "/healthz"];

function hash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** 401 without the token, where there is one. */
export function tokenGuard(token: string | undefined): MiddlewareHandler {
  return async (c, next) => {
    if (token !== undefined && !OPEN.includes(c.req.path)) {
      const given = /^Bearer (.+)$/.exec(c.req.header("authorization") ?? "")?.[1] ?? "";
      if (!timingSafeEqual(hash(given), hash(token))) {
        throw new ApiError(401, "the token is missing or wrong", { code: "invalid_api_key" });
      }
    }
    await next();
  };
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

/** 403 for a host name that is not this machine's, and for what another site's page sends. */
export function hostGuard(isLoopback: boolean): MiddlewareHandler {
  return async (c, next) => {
    const host = c.req.header("host") ?? "";
    if (isLoopback && !LOOPBACK.test(host)) {
      throw new ApiError(403, "the Host header does not name this machine", { code: "wrong_host" });
    }
    if (isForeign(c, host)) {
      throw new ApiError(403, "a page of another site may not ask", { code: "wrong_origin" });
    }
    await next();
  };
}

function isForeign(c: Context, host: string): boolean {
  const origin = c.req.header("origin");
  const site = c.req.header("sec-fetch-site");
  const isOwn = origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
  // A link that somebody follows to the page itself is no request of another page's program.
  const isVisit = c.req.method === "GET" && c.req.header("sec-fetch-mode") === "navigate";
  return !isOwn || (site !== undefined && !["same-origin", "none"].includes(site) && !isVisit);
}

/** Who asks, as far as turns go: where the request is from, and for whom it says that it asks. */
export function callerOf(c: Context, user: string): string {
  return `${getConnInfo(c).remote.address ?? ""} ${user}`;
}

/** 415 for a body that is not said to be JSON: a form of another site cannot say so. */
export const jsonGuard: MiddlewareHandler = async (c, next) => {
  if (c.req.method === "POST" && !/^application\/json\b/i.test(c.req.header("content-type") ?? "")) {
    throw new ApiError(415, "the body is JSON: content-type application/json", { code: "wrong_type" });
  }
  await next();
};

/**
 * A gateway on the data owner's own machine: OpenAI's HTTP API in front of parties that see shares only, and a page. It
 * sees every prompt and answer, keeps none, and writes none down.
 */
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, isIP } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { streamSSE } from "hono/streaming";
import { fail } from "../ir/diagnostics.js";
import { classify, embed } from "./answering.js";
import { ApiError, apiErrorOf } from "./errors.js";
import { Gateway, type Parties } from "./gateway.js";
import { hostGuard, jsonGuard, tokenGuard } from "./guards.js";
import type { Live } from "./live.js";
import { page } from "./page/page.js";
import { chatRequest, completionRequest } from "./requests.js";
import { type GivenPlan, type Served, served } from "./served.js";
import { type TurnLimits, Turns } from "./turns.js";
import { CHAT, COMPLETION, write } from "./writing.js";

export interface GatewayOptions {
  readonly plans: readonly GivenPlan[];
  /** Finds the parties, once nothing else stands in the way. */
  readonly connect: () => Promise<Parties>;
  readonly live: Live;
  /** Whether all parties are on this machine, so that their side can be shown, and nothing is private. */
  readonly isLocal: boolean;
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Both are needed for an address that other machines reach. */
  readonly token?: string | undefined;
  readonly tls?: { readonly key: string; readonly cert: string } | undefined;
  readonly queue: TurnLimits;
  /** Hears of every mistake of our own; never of a request's content. */
  readonly onBug: (error: unknown) => void;
}

export interface RunningGateway {
  readonly url: string;
  readonly plans: readonly Served[];
  /** Ends everything that goes on, at the parties too. */
  readonly close: () => Promise<void>;
}

/** The longest body, in bytes: a prompt is text. */
const LONGEST_BODY = 1 << 20;

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** Begins to listen. E0201 for an open address without a token or TLS, and for plans of one name; E1001 for a port. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { host, port, token, tls, live } = options;
  if (!isLoopback(host) && (token === undefined || tls === undefined)) {
    const why = "whoever reaches it can ask, and prompts would travel in the clear";
    const fix = "add --token-file FILE, --tls-key FILE and --tls-certificate FILE, or listen on 127.0.0.1";
    throw fail({
      code: "E0201",
      what: "another address than this machine's needs a token and TLS",
      where: host,
      why,
      fix,
    });
  }
  const plans = await Promise.all(options.plans.map(served));
  const twice = plans.find(({ id }, i) => plans.findIndex((each) => each.id === id) !== i);
  if (twice !== undefined) {
    throw fail({ code: "E0201", what: `two plans are called ${twice.id}`, fix: "give their files different names" });
  }
  const ending = new AbortController();
  const parties = await options.connect();
  const gateway = new Gateway(plans, parties, new Turns(options.queue), live, ending.signal);
  const { fetch } = application(gateway, options);
  const secure = tls && { createServer: createTlsServer, serverOptions: { ...tls, minVersion: "TLSv1.3" as const } };
  const server = createAdaptorServer({ fetch, ...secure });
  await new Promise<void>((resolve, reject) => {
    server.once("error", ({ message: why }) => {
      parties.close();
      reject(fail({ code: "E1001", what: "the gateway cannot listen", where: `${host}:${port}`, why }));
    });
    server.listen(port, host, resolve);
  });
  const at = server.address() as AddressInfo;
  const name = at.family === "IPv6" ? `[${at.address}]` : at.address;
  const close = async (): Promise<void> => {
    ending.abort(new Error("the gateway is closed"));
    const closed = new Promise((resolve) => server.close(resolve));
    if ("closeAllConnections" in server) {
      server.closeAllConnections();
    }
    await closed;
    parties.close();
  };
  return { url: `${tls === undefined ? "http" : "https"}://${name}:${at.port}`, plans, close };
}

function application(gateway: Gateway, { host, token, isLocal, onBug }: GatewayOptions): Hono {
  const app = new Hono();
  const { html, policy } = page(gateway.plans, isLocal);
  app.use(async (c, next) => {
    await next();
    c.header("cache-control", "no-store");
    c.header("x-content-type-options", "nosniff");
    c.header("referrer-policy", "no-referrer");
    c.header("cross-origin-resource-policy", "same-origin");
    c.header("content-security-policy", c.req.path === "/" ? policy : "default-src 'none'");
  });
  app.use(hostGuard(isLoopback(host)), tokenGuard(token), jsonGuard);
  const tooLong = (): never => {
    throw new ApiError(413, `a body has at most ${LONGEST_BODY} bytes`, { code: "too_long" });
  };
  app.use(bodyLimit({ maxSize: LONGEST_BODY, onError: tooLong }));
  app.get("/", (c) => c.html(html));
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/live", (c) => watch(gateway, c));
  app.get("/v1/models", (c) => c.json({ object: "list", data: gateway.plans.map(modelOf) }));
  app.get("/v1/models/:id", (c) => {
    const found = gateway.plans.find(({ id }) => id === c.req.param("id"));
    return found === undefined ? missing() : c.json(modelOf(found));
  });
  app.post("/v1/chat/completions", async (c) => write(gateway, c, chatRequest(await bodyOf(c)), CHAT));
  app.post("/v1/completions", async (c) => write(gateway, c, completionRequest(await bodyOf(c)), COMPLETION));
  app.post("/v1/embeddings", async (c) => embed(gateway, c, await bodyOf(c)));
  app.post("/v1/classify", async (c) => classify(gateway, c, await bodyOf(c)));
  app.notFound(missing);
  app.onError((error, c) => refused(error, c, gateway.signal.aborted ? () => undefined : onBug));
  return app;
}

/** Nobody hears this: the client has left. */
const LEFT = 499;

function refused(error: unknown, c: Context, onBug: (error: unknown) => void): Response {
  if (c.req.raw.signal.aborted) {
    return new Response(null, { status: LEFT });
  }
  const said = apiErrorOf(error);
  if (said.status === 500) {
    onBug(error);
  }
  const { retryAfter } = said.details;
  return c.json(said.document, said.status, {
    ...(retryAfter !== undefined && { "retry-after": String(retryAfter) }),
    // The rest of the body stands between this request and the next.
    ...(said.status === 413 && { connection: "close" }),
  });
}

function missing(): never {
  throw new ApiError(404, "there is no such address here; see /v1/models", { code: "not_found" });
}

async function bodyOf(c: Context): Promise<unknown> {
  const text = await c.req.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(400, "the body is no JSON", { code: "no_json" });
  }
}

/** A model as OpenAI lists them, and what is known of it here. */
function modelOf({ id, created, kind, length, loaded, predicted }: Served): object {
  const { rounds, bytes, seconds, network } = predicted;
  const cost = { rounds, bytes, seconds, network };
  return { id, object: "model", created, owned_by: "pumac", pumac: { kind, length, plan: loaded.digest, cost } };
}

/** Masked words as they are on their way, for the page. */
function watch(gateway: Gateway, c: Context): Response {
  return streamSSE(c, async (stream) => {
    const over = new Promise<void>((resolve) => {
      stream.onAbort(resolve);
      gateway.signal.addEventListener("abort", () => resolve());
    });
    const stop = gateway.live.listen((glimpse) => void stream.writeSSE({ data: JSON.stringify(glimpse) }));
    await stream.writeSSE({ event: "ready", data: String(stop !== undefined) });
    await (stop === undefined ? undefined : over);
    stop?.();
  });
}

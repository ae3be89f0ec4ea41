/**
 * The queue in NATS JetStream: a work-queue stream, of which every request is taken once, and one durable pull consumer
 * with explicit acknowledgement. It outlives this process and its server: what was put and not acknowledged is claimed
 * again, as another delivery. Nothing newer than server 2.9 is asked for.
 */
import { readFileSync } from "node:fs";
import {
  AckPolicy,
  type Consumer,
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
} from "@nats-io/jetstream";
import { connect, credsAuthenticator, type NatsConnection, nanos } from "@nats-io/transport-node";
import { fail } from "../../ir/diagnostics.js";
import type { Claim, Queue, QueueOptions } from "./queue.js";

export interface JetStreamOptions extends QueueOptions {
  /** `nats://host:4222`, or `tls://host:4222`. */
  readonly server: string;
  /** A NATS credentials file. */
  readonly credentials?: string | undefined;
  /** The queue's name among others of the server: letters, digits and dashes. */
  readonly name: string;
  /** How long a server that is away is waited for when something is put, in milliseconds. */
  readonly patience?: number;
  /** Whether the queue goes from the server when it is closed; one whose process was killed, after some days. */
  readonly isTemporary?: boolean;
}

/** How long one pull waits for a request: the least that the client takes. */
const PULL = 1000;
/** After a pull that failed. */
const PAUSE = 100;
/** How long the server knows an id again after it was put. */
const KNOWN = 120_000;
/** A temporary queue's requests are forgotten after so long. */
const LONGEST = 3 * 86_400_000;
const CONSUMER = "lanes";
/** JetStream's code for a stream that takes no more. */
const IS_FULL = 10_077;

/** Opens the queue, and makes it where there is none. E0601 where the server cannot be reached or has no JetStream. */
export async function openJetStream(options: JetStreamOptions): Promise<Queue> {
  const { server, credentials, name, lease, capacity, isTemporary = false } = options;
  let connection: NatsConnection | undefined;
  try {
    connection = await connect({
      servers: server,
      name: `pumac ${name}`,
      maxReconnectAttempts: -1,
      reconnectTimeWait: PAUSE,
      ...(server.startsWith("tls:") && { tls: {} }),
      ...(credentials !== undefined && { authenticator: credsAuthenticator(readFileSync(credentials)) }),
    });
    const manager = await jetstreamManager(connection);
    const stream = { name, subjects: [subjectOf(name)], retention: RetentionPolicy.Workqueue };
    const bounds = { max_msgs: capacity, discard: DiscardPolicy.New, duplicate_window: nanos(KNOWN) };
    const age = isTemporary ? { max_age: nanos(LONGEST) } : {};
    await manager.streams.info(name).catch(() => manager.streams.add({ ...stream, ...bounds, ...age }));
    const how = { ack_policy: AckPolicy.Explicit, ack_wait: nanos(lease), max_ack_pending: capacity };
    // Adding it again with the same settings gives what is there.
    await manager.consumers.add(name, { durable_name: CONSUMER, ...how });
    const client = jetstream(connection);
    const parts = { connection, manager, client, consumer: await client.consumers.get(name, CONSUMER) };
    return new JetStreamQueue(parts, { patience: lease, ...options });
  } catch (error) {
    await connection?.close();
    const why = error instanceof Error ? error.message : String(error);
    const fix = "start nats-server -js there, or give another --queue";
    throw fail({ code: "E0601", what: "the queue's server does not answer", where: server, why, fix });
  }
}

function subjectOf(name: string): string {
  return `${name}.requests`;
}

interface Parts {
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
  readonly client: JetStreamClient;
  readonly consumer: Consumer;
}

class JetStreamQueue implements Queue {
  constructor(
    private readonly parts: Parts,
    private readonly options: JetStreamOptions & { readonly patience: number },
  ) {}

  async put(id: string): Promise<boolean> {
    const subject = subjectOf(this.options.name);
    // The same id again is known again: a publication whose answer was lost may be repeated.
    const { duplicate } = await this.patiently(() =>
      this.parts.client.publish(subject, id, { msgID: id, timeout: PULL }),
    );
    return !duplicate;
  }

  async claim(signal: AbortSignal): Promise<Claim | undefined> {
    while (!signal.aborted && !this.parts.connection.isClosed()) {
      const pulled = this.pull();
      const message = await unlessAborted(pulled, signal);
      if (signal.aborted) {
        // What a pull still brings is somebody else's.
        void pulled.then((late) => late?.nak());
        return undefined;
      }
      if (message !== undefined) {
        return claimOf(message);
      }
    }
    return undefined;
  }

  async depth(): Promise<number> {
    const { state } = await this.patiently(() => this.parts.manager.streams.info(this.options.name));
    return state.messages;
  }

  async close(): Promise<void> {
    if (this.options.isTemporary === true) {
      await this.parts.manager.streams.delete(this.options.name).catch(() => false);
    }
    await this.parts.connection.close();
  }

  /** One pull; a server that is away gives nothing, for a moment. */
  private async pull(): Promise<JsMsg | undefined> {
    try {
      return (await this.parts.consumer.next({ expires: PULL })) ?? undefined;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      return undefined;
    }
  }

  private async patiently<T>(act: () => Promise<T>): Promise<T> {
    const { server, patience } = this.options;
    for (const began = performance.now(); ; ) {
      try {
        return await act();
      } catch (error) {
        if ((error as { readonly code?: number }).code === IS_FULL) {
          throw fail({ code: "E1002", what: `the queue is full: ${this.options.capacity} requests wait` });
        }
        if (performance.now() - began > patience || this.parts.connection.isClosed()) {
          const why = error instanceof Error ? error.message : String(error);
          throw fail({ code: "E0601", what: "the queue's server is gone", where: server, why });
        }
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  }
}

/** What the promise gives, or undefined when the signal is aborted before. */
async function unlessAborted<T>(promise: Promise<T | undefined>, signal: AbortSignal): Promise<T | undefined> {
  let leave: () => void = () => undefined;
  const aborted = new Promise<undefined>((resolve) => {
    leave = () => resolve(undefined);
    signal.addEventListener("abort", leave, { once: true });
  });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener("abort", leave));
}

function claimOf(message: JsMsg): Claim {
  return {
    id: message.string(),
    delivery: message.info.deliveryCount,
    extend: async () => message.working(),
    // Where the server does not say that it has heard it, the request comes again, and is acknowledged then.
    acknowledge: async () => void (await message.ackAck({ timeout: PULL }).catch(() => false)),
    refuse: async (after = 0) => message.nak(after),
  };
}

/**
 * A conversation of a data owner with three parties that stay: one session in which the programs of a plan run one
 * after the other, as the owner asks, over what earlier runs have kept at the parties. It ends when the owner closes
 * it, when the owner is gone, or with whatever goes wrong: the parties then wipe what they kept.
 */
import type { LoadedPlan } from "../../formats/plan-file.js";
import { programsOf } from "../../ir/plan/types.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { systemRandom } from "../../runtime/keys.js";
import { MeteredTransport } from "../../runtime/measurement.js";
import { nextRun } from "../../runtime/session.js";
import { PARTIES } from "../../runtime/transport.js";
import { giveRun, offerPlan } from "../client.js";
import { type OwnerValues, receiveAnswer, type SessionResult } from "../owners.js";
import { Sharer } from "../sharing.js";
import { type AskOptions, enterParties, givenBy } from "./ask.js";
import { connectParties } from "./connect.js";

/** A session that runs programs of one plan, in the order in which they are asked for. */
export interface Conversation {
  readonly session: string;
  /** Runs a program, by its place among the plan's, on these inputs. After an error there is no further run. */
  readonly run: (program: number, values: OwnerValues) => Promise<SessionResult>;
  /** Ends it at all parties. */
  readonly close: () => Promise<void>;
}

/**
 * Begins a conversation, which the options' signal ends at once at all parties. E06xx to E10xx: there is none, and
 * which party or what difference is the cause.
 */
export async function converse(loaded: LoadedPlan, options: AskOptions): Promise<Conversation> {
  const session = Buffer.from(systemRandom(16)).toString("hex");
  const transport = await connectParties("data", options.topology, session, options.timeout, options.signal);
  const sharer = new Sharer(loadKernels().create);
  const { signal, onShared } = options;
  const abort = (): void => transport.abort(signal?.reason);
  const end = (): void => {
    signal?.removeEventListener("abort", abort);
    sharer.close();
  };
  signal?.addEventListener("abort", abort);
  const failing = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      signal?.throwIfAborted();
      return await work();
    } catch (error) {
      transport.abort(error);
      end();
      throw signal?.aborted === true ? signal.reason : error;
    }
  };
  const data = new MeteredTransport(transport);
  await failing(async () => {
    const weights = await enterParties(transport, loaded, options);
    await offerPlan(data, { plan: loaded.digest, weights, random: systemRandom });
  });
  const programs = programsOf(loaded.plan);
  return {
    session,
    run: (program, values) =>
      failing(async () => {
        const started = performance.now();
        const plan = programs[program];
        const sent = await giveRun(data, program, givenBy(plan, values, sharer, onShared));
        return await receiveAnswer(data, sharer, { plan, owners: [sent], started });
      }),
    close: () =>
      failing(async () => {
        await Promise.all(PARTIES.map((party) => data.send(party, nextRun(null))));
        await transport.close();
        end();
      }),
  };
}

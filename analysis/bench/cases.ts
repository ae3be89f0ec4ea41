/** What a bench measures: every model at every length and profile that is asked for. */
import { basename, join } from "node:path";
import { type Network, parseNetwork } from "../../compiler/network.js";
import { parseDims } from "../../formats/bindings.js";
import type { BenchedModel } from "./measure.js";

export interface Sweep {
  /** Of models by name, in tokens; 128 without. */
  readonly length: readonly number[];
  /** Symbolic dimensions of model files. */
  readonly dim: readonly string[];
  readonly profile: readonly ("fourier" | "puma")[];
  readonly network?: string;
  readonly sessions: number;
}

/** Writes the model of a name at a length. */
type Writer = (name: string, length: number) => { readonly path: string; readonly reveal?: readonly string[] };

/** The models, by file or by a name that `known` has, each written when its turn comes. Plans go into the folder. */
export function casesOf(
  models: readonly string[],
  sweep: Sweep,
  folder: string,
  known: { readonly names: readonly string[]; readonly write: Writer },
): readonly (() => BenchedModel)[] {
  const network: { network?: Network } = sweep.network === undefined ? {} : { network: parseNetwork(sweep.network) };
  const common = { planPath: join(folder, "plan.pumac"), sessions: sweep.sessions };
  return models.flatMap((name) =>
    sweep.profile.flatMap((profile): readonly (() => BenchedModel)[] => {
      const options = { ...network, profile, assumeRanges: true };
      if (!known.names.includes(name)) {
        const label = `${basename(name)}, ${profile}`;
        return [() => ({ ...common, name: label, path: name, options: { ...options, dims: parseDims(sweep.dim) } })];
      }
      const lengths = sweep.length.length === 0 ? [128] : sweep.length;
      return lengths.map((length) => () => {
        const { path, ...reveal } = known.write(name, length);
        return { ...common, name: `${name}, ${length} tokens, ${profile}`, path, options: { ...options, ...reveal } };
      });
    }),
  );
}

/**
 * Which kernels a party runs on: the native ones where they are built, else their TypeScript twins. Both mean the same,
 * bit for bit, so parties may differ. PUMAC_KERNELS=native or =portable forces one.
 */
import { fail } from "../../ir/diagnostics.js";
import type { MultiplyReals } from "../../ir/tensor/index.js";
import type { KernelsFactory } from "./interface.js";
import { openNative } from "./native.js";
import { createPortableKernels } from "./portable.js";

export interface LoadedKernels {
  /** Matrix products over doubles, for work in the clear; absent: the plain loops, to the same bits. */
  readonly multiplyReals?: MultiplyReals;
  readonly create: KernelsFactory;
  /** Why the slow kernels run, where nobody asked for them: worth one line to the user. */
  readonly warning?: string;
}

/**
 * Chooses the kernels of this process.
 * @param choice "native", "portable", or undefined for the best there is; default: the environment's PUMAC_KERNELS.
 * @throws E0201 for another choice, or for "native" where there is no addon.
 */
export function loadKernels(choice = process.env.PUMAC_KERNELS): LoadedKernels {
  if (choice !== undefined && choice !== "" && choice !== "native" && choice !== "portable") {
    throw fail({
      code: "E0201",
      what: `PUMAC_KERNELS is '${choice}'`,
      fix: "set it to native or portable, or unset it",
    });
  }
  if (choice === "portable") {
    return { create: createPortableKernels };
  }
  const native = openNative();
  if (typeof native !== "string") {
    const create = (arenaBytes: number) => native.create(arenaBytes);
    return { create: Object.assign(create, { tape: native.tape }), multiplyReals: native.multiplyReals() };
  }
  if (choice === "native") {
    throw fail({
      code: "E0201",
      what: "PUMAC_KERNELS asks for native kernels, and there are none",
      why: native,
      fix: "run `npm run build:native`, which needs a C++ compiler, or unset PUMAC_KERNELS",
    });
  }
  return { create: createPortableKernels, warning: native };
}

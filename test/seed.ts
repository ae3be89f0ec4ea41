/**
 * Property tests draw the same examples every time, so that a commit passes or does not; `PUMAC_SEED=N` draws others,
 * for looking further.
 */
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env.PUMAC_SEED ?? 2307) });

/** The roles of every share op; an op without roles does not compile. */
import type { ShareOpName } from "../../ir/share/index.js";
import { BILINEAR_ROLES } from "./bilinear.js";
import { BIT_ROLES } from "./bits.js";
import { DECAY_ROLES } from "./decays.js";
import { LINEAR_ROLES } from "./linear.js";
import type { Roles } from "./role.js";
import { ROUND_ROLES, WIDENED_ROLES } from "./rounds.js";
import { SPLIT_ROLES } from "./split.js";

export const ROLES: Readonly<Record<ShareOpName, Roles>> = {
  ...LINEAR_ROLES,
  ...BILINEAR_ROLES,
  ...ROUND_ROLES,
  ...WIDENED_ROLES,
  ...SPLIT_ROLES,
  ...DECAY_ROLES,
  ...BIT_ROLES,
};

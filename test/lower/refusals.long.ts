/** The sweep of `refusals.ts` at length. */
import { sweep } from "./refusals.js";

sweep(100);

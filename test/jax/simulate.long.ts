/** JAX models as secure sessions (`simulate.ts`), all of them. */
import { simulateJax } from "./simulate.js";

simulateJax(true);

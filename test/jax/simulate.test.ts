/** JAX models as secure sessions (`simulate.ts`), a part of them. */
import { simulateJax } from "./simulate.js";

simulateJax(false);

/** Predicted equals measured (`predicted.ts`), for some of the fixtures. */
import { holdPredicted } from "./predicted.js";

holdPredicted(false);

/** Predicted equals measured (`predicted.ts`), for every fixture. */
import { holdPredicted } from "./predicted.js";

holdPredicted(true);

/** ONNX's node tests on secrets (`secret-nodes.ts`), all of them. */
import { sweepSecretNodes } from "./secret-nodes.js";

sweepSecretNodes(1);

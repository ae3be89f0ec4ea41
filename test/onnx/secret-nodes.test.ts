/** ONNX's node tests on secrets (`secret-nodes.ts`), every fourth of them. */
import { sweepSecretNodes } from "./secret-nodes.js";

sweepSecretNodes(4);

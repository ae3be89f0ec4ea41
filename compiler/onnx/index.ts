/** The ONNX front end. */
export { type ImportOptions, importOnnx } from "./import.js";

/** The tensor level: its table of ops, and the evaluation of graphs in the clear. */
export { evaluateGraph, type WeightStore } from "./evaluate.js";
export { opsWhere, TENSOR, TENSOR_OPS, type TensorOpName, traitsOf } from "./table.js";
export type { MultiplyReals, RealProduct, TensorNode, TensorOp } from "./types.js";

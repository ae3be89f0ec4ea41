/** The tensor language: its table of ops, and the evaluation of graphs in the clear. */
export { type MultiplyReals, type RealProduct, Rooms } from "./arithmetic.js";
export { type Evaluation, evaluateGraph, outputsInTurn, roomsOf, type WeightStore } from "./evaluate.js";
export { opsWhere, TENSOR, TENSOR_OPS, type TensorOpName, traitsOf } from "./table.js";
export type { TensorNode, TensorOp } from "./types.js";

/** Random graphs of the tensor language: every op of the table, arguments from earlier nodes where types allow. */
import fc from "fast-check";
import { Builder, type Graph, type Node } from "../../ir/graph.js";
import { TENSOR, TENSOR_OPS, type TensorOpName } from "../../ir/tensor/index.js";
import { printTensorType, type TensorType, type TensorValue } from "../../ir/tensor/value.js";
import { EXAMPLES, type Example } from "../tensor/examples.js";

interface Step extends Example {
  readonly op: TensorOpName;
  readonly origin: string;
  /** How to find the arguments: earlier nodes of the type, or else one of the three sources. */
  readonly choice: number;
}

const OPS = (Object.keys(TENSOR_OPS) as TensorOpName[]).filter((op) => op !== "input" && op !== "parameter");

const steps: fc.Arbitrary<Step> = fc
  .tuple(fc.constantFrom(...OPS), fc.string({ unit: "binary", maxLength: 8 }), fc.nat(5))
  .chain(([op, origin, choice]) => EXAMPLES[op].map((example) => ({ ...example, op, origin, choice })));

/** A graph, and values for its inputs and parameters by name. */
export interface RandomGraph {
  readonly graph: Graph<TensorType>;
  readonly values: ReadonlyMap<string, TensorValue>;
}

export const randomGraphs: fc.Arbitrary<RandomGraph> = fc
  .array(steps, { minLength: 1, maxLength: 12 })
  .map((chosen) => build(chosen));

function build(chosen: readonly Step[]): RandomGraph {
  const builder = new Builder(TENSOR);
  const values = new Map<string, TensorValue>();
  const argumentOf = (value: TensorValue, choice: number): Node<TensorType> => {
    const type = printTensorType(value);
    const earlier = builder.nodes.filter((node) => printTensorType(node.type) === type && !isIndex(node));
    if (choice > 2 && earlier.length > 0 && !value.dtype.startsWith("i")) {
      return earlier[choice % earlier.length];
    }
    if (choice === 0) {
      return builder.emit("constant", [], { value });
    }
    const name = `value ${values.size}`;
    values.set(name, value);
    const { dtype, shape } = value;
    return builder.emit(choice === 1 ? "parameter" : "input", [], { name, dtype, shape });
  };
  const results = chosen.map(({ op, args, attributes, origin, choice }) => {
    const nodes = args.map((value, i) => argumentOf(value, (choice + i) % 6));
    return builder.emit(op, nodes, attributes, origin);
  });
  const outputs = results.slice(-3).map((node, i) => ({ name: `output "${i}"`, node }));
  return { graph: builder.finish(outputs), values };
}

/** Whole numbers may be indices, whose values must fit the tensor they look up. */
function isIndex(node: Node<TensorType>): boolean {
  return node.type.dtype.startsWith("i");
}

/** The attributes of HLO instructions under StableHLO's names. */
import type { PumacError } from "../../ir/diagnostics.js";
import type { Attribute, Attributes, DenseLiteral, Layout, Type } from "./ast.js";
import type { ConvolutionNumbers, InstructionProto, LiteralProto, WindowDimension } from "./hlo-proto.js";

/** What this file asks of the converter. */
export interface Reading {
  broken(what: string, where: string | undefined): PumacError;
}

/** Opcodes whose StableHLO name is not the same with underscores. */
export const RENAMED: Readonly<Record<string, string>> = {
  broadcast: "stablehlo.broadcast_in_dim",
  call: "func.call",
  fusion: "func.call",
  copy: "stablehlo.optimization_barrier",
  "opt-barrier": "stablehlo.optimization_barrier",
  dot: "stablehlo.dot_general",
  erf: "chlo.erf",
  topk: "chlo.top_k",
};

/** How many of the called computations are regions of the operation; the others are functions it calls. */
export function regionCount(opcode: string): number {
  return { reduce: 1, "reduce-window": 1, sort: 1, map: 1, while: 2, scatter: 1 }[opcode] ?? 0;
}

function integersAttribute(values: readonly (string | number)[]): Attribute {
  return { kind: "denseArray", element: "i64", values: values.map(String) };
}

function integerAttribute(value: string | number | undefined, missing = "0"): Attribute {
  return { kind: "number", text: String(value ?? missing) };
}

type Maker = (reading: Reading, instruction: InstructionProto) => Attributes;

const MAKERS: Readonly<Record<string, Maker>> = {
  broadcast: (_, { dimensions }) => ({ broadcast_dimensions: integersAttribute(dimensions) }),
  transpose: (_, { dimensions }) => ({ permutation: integersAttribute(dimensions) }),
  reverse: (_, { dimensions }) => ({ dimensions: integersAttribute(dimensions) }),
  reduce: (_, { dimensions }) => ({ dimensions: integersAttribute(dimensions) }),
  map: (_, { dimensions }) => ({ dimensions: integersAttribute(dimensions) }),
  concatenate: (_, { dimensions }) => ({ dimension: integerAttribute(dimensions[0]) }),
  sort: (_, { dimensions }) => ({ dimension: integerAttribute(dimensions[0]) }),
  iota: (_, { dimensions }) => ({ iota_dimension: integerAttribute(dimensions[0]) }),
  compare: (_, { comparisonDirection }) => ({
    comparison_direction: { kind: "string", value: comparisonDirection ?? "" },
  }),
  constant: (reading, instruction) => ({ value: literalAttribute(reading, instruction) }),
  slice: (_, { sliceDimensions }) => ({
    start_indices: integersAttribute(sliceDimensions.map((each) => each.start ?? 0)),
    limit_indices: integersAttribute(sliceDimensions.map((each) => each.limit ?? 0)),
    strides: integersAttribute(sliceDimensions.map((each) => each.stride ?? 1)),
  }),
  "dynamic-slice": (_, { dynamicSliceSizes }) => ({ slice_sizes: integersAttribute(dynamicSliceSizes) }),
  pad: (_, { paddingConfig }) => ({
    edge_padding_low: integersAttribute((paddingConfig?.dimensions ?? []).map((each) => each.edgePaddingLow ?? 0)),
    edge_padding_high: integersAttribute((paddingConfig?.dimensions ?? []).map((each) => each.edgePaddingHigh ?? 0)),
    interior_padding: integersAttribute((paddingConfig?.dimensions ?? []).map((each) => each.interiorPadding ?? 0)),
  }),
  dot: dotAttributes,
  gather: gatherAttributes,
  scatter: (_, { scatterDimensionNumbers: numbers }) => ({
    scatter_dimension_numbers: structure("stablehlo.scatter", {
      update_window_dims: numbers?.updateWindowDims ?? [],
      inserted_window_dims: numbers?.insertedWindowDims ?? [],
      scatter_dims_to_operand_dims: numbers?.scatterDimsToOperandDims ?? [],
      index_vector_dim: [numbers?.indexVectorDim ?? 0],
      input_batching_dims: numbers?.inputBatchingDims ?? [],
    }),
  }),
  convolution: convolutionAttributes,
  "reduce-window": (_, { window }) => windowAttributes(window?.dimensions ?? [], true),
  "get-tuple-element": (_, { tupleIndex }) => ({ index: integerAttribute(tupleIndex) }),
  topk: (_, { k }) => ({ k: integerAttribute(k) }),
  call: calleeAttribute,
  fusion: calleeAttribute,
  "custom-call": (_, { customCallTarget }) => ({ call_target_name: { kind: "string", value: customCallTarget ?? "" } }),
};

export function attributesOf(reading: Reading, instruction: InstructionProto): Attributes {
  const opcode = instruction.opcode ?? "";
  return Object.hasOwn(MAKERS, opcode) ? MAKERS[opcode](reading, instruction) : {};
}

function calleeAttribute(reading: Reading, instruction: InstructionProto): Attributes {
  const [called] = instruction.calledComputationIds;
  if (called === undefined) {
    throw reading.broken("a call without a computation", instruction.name);
  }
  return { callee: { kind: "symbol", name: `computation.${called}` } };
}

function structure(name: string, fields: Readonly<Record<string, readonly (string | number)[]>>): Attribute {
  const entries = Object.entries(fields).map(([key, values]) => [key, integersAttribute(values)] as const);
  return { kind: "structure", name, fields: Object.fromEntries(entries) };
}

function dotAttributes(_: Reading, { dotDimensionNumbers: dot }: InstructionProto): Attributes {
  return {
    dot_dimension_numbers: structure("stablehlo.dot", {
      lhs_batching_dimensions: dot?.lhsBatchDimensions ?? [],
      rhs_batching_dimensions: dot?.rhsBatchDimensions ?? [],
      lhs_contracting_dimensions: dot?.lhsContractingDimensions ?? [],
      rhs_contracting_dimensions: dot?.rhsContractingDimensions ?? [],
    }),
  };
}

function gatherAttributes(
  _: Reading,
  { gatherDimensionNumbers: numbers, gatherSliceSizes }: InstructionProto,
): Attributes {
  return {
    dimension_numbers: structure("stablehlo.gather", {
      offset_dims: numbers?.offsetDims ?? [],
      collapsed_slice_dims: numbers?.collapsedSliceDims ?? [],
      operand_batching_dims: numbers?.operandBatchingDims ?? [],
      start_indices_batching_dims: numbers?.startIndicesBatchingDims ?? [],
      start_index_map: numbers?.startIndexMap ?? [],
      index_vector_dim: [numbers?.indexVectorDim ?? 0],
    }),
    slice_sizes: integersAttribute(gatherSliceSizes),
  };
}

/** A proto leaves zeros out; a stride or dilation of zero means one. */
function orOne(value: string | undefined): string {
  return value === undefined || value === "0" ? "1" : value;
}

function windowAttributes(dimensions: readonly WindowDimension[], sized: boolean): Attributes {
  const common = {
    window_strides: integersAttribute(dimensions.map((each) => orOne(each.stride))),
    padding: integersAttribute(dimensions.flatMap((each) => [each.paddingLow ?? 0, each.paddingHigh ?? 0])),
  };
  const [windowDilations, baseDilations] = [
    integersAttribute(dimensions.map((each) => orOne(each.windowDilation))),
    integersAttribute(dimensions.map((each) => orOne(each.baseDilation))),
  ];
  if (sized) {
    const size = integersAttribute(dimensions.map((each) => each.size ?? 1));
    return { ...common, window_dimensions: size, window_dilations: windowDilations, base_dilations: baseDilations };
  }
  const reversal = integersAttribute(dimensions.map((each) => Number(each.windowReversal ?? false)));
  return { ...common, rhs_dilation: windowDilations, lhs_dilation: baseDilations, window_reversal: reversal };
}

function convolutionAttributes(_: Reading, instruction: InstructionProto): Attributes {
  const numbers = instruction.convolutionDimensionNumbers;
  return {
    ...windowAttributes(instruction.window?.dimensions ?? [], false),
    dimension_numbers: convolutionLayouts(numbers),
    feature_group_count: integerAttribute(orOne(instruction.featureGroupCount)),
    batch_group_count: integerAttribute(orOne(instruction.batchGroupCount)),
  };
}

function convolutionLayouts(numbers: ConvolutionNumbers | undefined): Attribute {
  const layout = (letters: readonly [string, string | undefined][], spatial: readonly string[]): Layout => {
    const places = [...letters, ...spatial.map((at, i) => [String(i), at] as const)];
    const names = places.map(() => "?");
    for (const [letter, at] of places) {
      names[Math.min(Number(at ?? 0), places.length)] = letter;
    }
    return names.slice(0, places.length);
  };
  return {
    kind: "convolution",
    input: layout(
      [
        ["b", numbers?.inputBatchDimension],
        ["f", numbers?.inputFeatureDimension],
      ],
      numbers?.inputSpatialDimensions ?? [],
    ),
    kernel: layout(
      [
        ["i", numbers?.kernelInputFeatureDimension],
        ["o", numbers?.kernelOutputFeatureDimension],
      ],
      numbers?.kernelSpatialDimensions ?? [],
    ),
    output: layout(
      [
        ["b", numbers?.outputBatchDimension],
        ["f", numbers?.outputFeatureDimension],
      ],
      numbers?.outputSpatialDimensions ?? [],
    ),
  };
}

/** A literal as a dense constant of bytes; row-major layouts only. */
function literalAttribute(reading: Reading, instruction: InstructionProto): Attribute {
  const { literal, shape } = instruction;
  const rank = shape?.dimensions.length ?? 0;
  const layout = (literal?.shape?.layout ?? shape?.layout)?.minorToMajor ?? [];
  if (literal === undefined || shape === undefined) {
    throw reading.broken("a constant without a value", instruction.name);
  }
  if (layout.length > 1 && layout.some((axis, i) => Number(axis) !== rank - 1 - i)) {
    throw reading.broken("a constant is not stored row by row", instruction.name);
  }
  const literalForm = literalBytes(literal, shape.elementType ?? 0);
  if (literalForm === undefined) {
    throw reading.broken(`constants of XLA type ${shape.elementType} are not supported`, instruction.name);
  }
  const element = literalForm.element;
  const type: Type = { kind: "tensor", shape: shape.dimensions.map(Number), element };
  const dense: DenseLiteral = {
    form: "hex",
    text: `0x${Buffer.from(literalForm.bytes).toString("hex").toUpperCase()}`,
  };
  return { kind: "dense", literal: dense, type };
}

interface LiteralBytes {
  readonly element: string;
  readonly bytes: Uint8Array;
}

const NONE = new Uint8Array(0);

/** The elements of a literal, little-endian. */
function literalBytes(literal: LiteralProto, code: number): LiteralBytes | undefined {
  switch (code) {
    case 1:
      return { element: "i1", bytes: Uint8Array.from(literal.preds, Number) };
    case 2:
      return { element: "i8", bytes: literal.s8s ?? NONE };
    case 3:
      return { element: "i16", bytes: literal.s16s ?? NONE };
    case 4:
      return { element: "i32", bytes: bytesOf(Int32Array.from(literal.s32s)) };
    case 5:
      return { element: "i64", bytes: bytesOf(BigInt64Array.from(literal.s64s, BigInt)) };
    case 6:
      return { element: "ui8", bytes: literal.u8s ?? NONE };
    case 7:
      return { element: "ui16", bytes: literal.u16s ?? NONE };
    case 8:
      return { element: "ui32", bytes: bytesOf(Uint32Array.from(literal.u32s)) };
    case 9:
      return { element: "ui64", bytes: bytesOf(BigUint64Array.from(literal.u64s, BigInt)) };
    case 10:
      return { element: "f16", bytes: literal.f16s ?? NONE };
    case 11:
      return { element: "f32", bytes: bytesOf(Float32Array.from(literal.f32s)) };
    case 12:
      return { element: "f64", bytes: bytesOf(Float64Array.from(literal.f64s)) };
    case 16:
      return { element: "bf16", bytes: literal.bf16s ?? NONE };
    default:
      return undefined;
  }
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

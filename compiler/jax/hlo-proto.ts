/** Decodes HloModuleProto bytes into plain objects. 64-bit integers come as text, so that none loses a bit. */
import protobuf from "protobufjs";
import { fail } from "../../ir/diagnostics.js";
import { HLO_SCHEMA } from "./hlo-schema.js";

/** Repeated fields are always there; scalars and messages may be absent and then have proto3's default meaning. */
export interface ShapeProto {
  readonly elementType?: number;
  readonly dimensions: readonly string[];
  readonly tupleShapes: readonly ShapeProto[];
  readonly layout?: { readonly minorToMajor: readonly string[] };
  readonly isDynamicDimension: readonly boolean[];
}

export interface LiteralProto {
  readonly shape?: ShapeProto;
  readonly preds: readonly boolean[];
  readonly u8s?: Uint8Array;
  readonly s8s?: Uint8Array;
  readonly u16s?: Uint8Array;
  readonly s16s?: Uint8Array;
  readonly f16s?: Uint8Array;
  readonly bf16s?: Uint8Array;
  readonly s32s: readonly number[];
  readonly s64s: readonly string[];
  readonly u32s: readonly number[];
  readonly u64s: readonly string[];
  readonly f32s: readonly number[];
  readonly f64s: readonly number[];
}

export interface WindowDimension {
  readonly size?: string;
  readonly stride?: string;
  readonly paddingLow?: string;
  readonly paddingHigh?: string;
  readonly windowDilation?: string;
  readonly baseDilation?: string;
  readonly windowReversal?: boolean;
}

export interface ConvolutionNumbers {
  readonly kernelInputFeatureDimension?: string;
  readonly kernelOutputFeatureDimension?: string;
  readonly kernelSpatialDimensions: readonly string[];
  readonly inputBatchDimension?: string;
  readonly inputFeatureDimension?: string;
  readonly inputSpatialDimensions: readonly string[];
  readonly outputBatchDimension?: string;
  readonly outputFeatureDimension?: string;
  readonly outputSpatialDimensions: readonly string[];
}

export interface InstructionProto {
  readonly name?: string;
  readonly opcode?: string;
  readonly shape?: ShapeProto;
  readonly metadata?: { readonly opName?: string };
  readonly literal?: LiteralProto;
  readonly parameterNumber?: string;
  readonly tupleIndex?: string;
  readonly dimensions: readonly string[];
  readonly window?: { readonly dimensions: readonly WindowDimension[] };
  readonly convolutionDimensionNumbers?: ConvolutionNumbers;
  readonly sliceDimensions: readonly { readonly start?: string; readonly limit?: string; readonly stride?: string }[];
  readonly dynamicSliceSizes: readonly string[];
  readonly paddingConfig?: {
    readonly dimensions: readonly {
      readonly edgePaddingLow?: string;
      readonly edgePaddingHigh?: string;
      readonly interiorPadding?: string;
    }[];
  };
  readonly customCallTarget?: string;
  readonly dotDimensionNumbers?: {
    readonly lhsContractingDimensions: readonly string[];
    readonly rhsContractingDimensions: readonly string[];
    readonly lhsBatchDimensions: readonly string[];
    readonly rhsBatchDimensions: readonly string[];
  };
  readonly gatherDimensionNumbers?: {
    readonly offsetDims: readonly string[];
    readonly collapsedSliceDims: readonly string[];
    readonly startIndexMap: readonly string[];
    readonly indexVectorDim?: string;
    readonly operandBatchingDims: readonly string[];
    readonly startIndicesBatchingDims: readonly string[];
  };
  readonly scatterDimensionNumbers?: {
    readonly updateWindowDims: readonly string[];
    readonly insertedWindowDims: readonly string[];
    readonly scatterDimsToOperandDims: readonly string[];
    readonly indexVectorDim?: string;
    readonly inputBatchingDims: readonly string[];
  };
  readonly gatherSliceSizes: readonly string[];
  readonly id?: string;
  readonly operandIds: readonly string[];
  readonly calledComputationIds: readonly string[];
  readonly featureGroupCount?: string;
  readonly batchGroupCount?: string;
  readonly comparisonDirection?: string;
  readonly k?: string;
  readonly largest?: boolean;
}

export interface ComputationProto {
  readonly name?: string;
  readonly instructions: readonly InstructionProto[];
  readonly id?: string;
  readonly rootId?: string;
}

export interface ModuleProto {
  readonly name?: string;
  readonly entryComputationName?: string;
  readonly computations: readonly ComputationProto[];
  readonly entryComputationId?: string;
}

/** Decodes; E0301 where the bytes are not an HloModuleProto. */
export function decodeModule(bytes: Uint8Array, file: string): ModuleProto {
  const type = protobuf.parse(HLO_SCHEMA).root.lookupType("xla.HloModuleProto");
  let decoded: ModuleProto;
  try {
    // Without `bytes`, protobufjs keeps byte fields as they are.
    decoded = type.toObject(type.decode(bytes), { longs: String, arrays: true }) as ModuleProto;
  } catch (error) {
    // protobufjs throws plain errors and RangeErrors for whatever is wrong with the bytes.
    const why = error instanceof Error ? error.message : String(error);
    throw fail({ code: "E0301", what: "this is neither StableHLO text nor an HloModuleProto", where: file, why });
  }
  if (decoded.computations.length === 0) {
    throw fail({ code: "E0301", what: "this is neither StableHLO text nor an HloModuleProto", where: file });
  }
  return decoded;
}

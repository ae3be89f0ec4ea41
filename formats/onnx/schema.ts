/**
 * The one place of ONNX's wire schema: the part that a transformer needs, with the field numbers of onnx/onnx.proto
 * (Apache-2.0) in ONNX 1.22.0, IR version 13, and two deliberate changes that keep the wire form: tensors stay `bytes`,
 * because their data is read by position and only when wanted (tensor-proto.ts), and unknown kinds of type are present
 * by number, so that they can be refused by name. (test/formats/written.test.ts: other readers read what is written.)
 *
 * Decoded messages are plain objects with every default filled in; 64-bit integers become doubles.
 */
import protobuf from "protobufjs";
import { fail } from "../../ir/diagnostics.js";

export const ONNX_SCHEMA = `
syntax = "proto3";
package onnx;
message StringStringEntryProto { string key = 1; string value = 2; }
message OperatorSetIdProto { string domain = 1; int64 version = 2; }
message TensorHeader { repeated int64 dims = 1; int32 data_type = 2; string name = 8;
  repeated StringStringEntryProto external_data = 13; int32 data_location = 14; }
message TensorProto { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9;
  repeated StringStringEntryProto external_data = 13; int32 data_location = 14; }
message SparseTensorProto { bytes values = 1; bytes indices = 2; repeated int64 dims = 3; }
message TensorShapeProto {
  message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } }
  repeated Dimension dim = 1; }
message TypeProto {
  message Tensor { int32 elem_type = 1; TensorShapeProto shape = 2; }
  oneof value { Tensor tensor_type = 1; bytes sequence_type = 4; bytes map_type = 5; bytes sparse_tensor_type = 8;
    bytes optional_type = 9; } }
message ValueInfoProto { string name = 1; TypeProto type = 2; }
message AttributeProto { string name = 1; float f = 2; int64 i = 3; bytes s = 4; bytes t = 5; GraphProto g = 6;
  repeated float floats = 7; repeated int64 ints = 8; repeated bytes strings = 9; repeated bytes tensors = 10;
  repeated GraphProto graphs = 11; string ref_attr_name = 21; int32 type = 20; }
message NodeProto { repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
  repeated AttributeProto attribute = 5; string domain = 7; string overload = 8;
  repeated StringStringEntryProto metadata_props = 9; }
message GraphProto { repeated NodeProto node = 1; string name = 2; repeated bytes initializer = 5;
  repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12; repeated ValueInfoProto value_info = 13;
  repeated bytes sparse_initializer = 15; }
message FunctionProto { string name = 1; repeated string input = 4; repeated string output = 5;
  repeated string attribute = 6; repeated NodeProto node = 7; repeated OperatorSetIdProto opset_import = 9;
  string domain = 10; repeated AttributeProto attribute_proto = 11; string overload = 13; }
message ModelProto { int64 ir_version = 1; string producer_name = 2; string producer_version = 3; string domain = 4;
  int64 model_version = 5; bytes graph = 7; repeated OperatorSetIdProto opset_import = 8;
  repeated StringStringEntryProto metadata_props = 14; repeated FunctionProto functions = 25; }
`;

export interface OperatorSet {
  readonly domain: string;
  readonly version: number;
}
export interface TensorHeader {
  readonly dims: readonly number[];
  readonly dataType: number;
  readonly name: string;
  readonly externalData: readonly { readonly key: string; readonly value: string }[];
  readonly dataLocation: number;
}
export interface SparseTensor {
  readonly values: Uint8Array;
  readonly indices: Uint8Array;
  readonly dims: readonly number[];
}
export interface Dimension {
  readonly value?: "dimValue" | "dimParam";
  readonly dimValue?: number;
  readonly dimParam?: string;
}
export interface TypeProto {
  readonly value?: "tensorType" | "sequenceType" | "mapType" | "sparseTensorType" | "optionalType";
  readonly tensorType?: { readonly elemType: number; readonly shape: { readonly dim: readonly Dimension[] } | null };
}
export interface ValueInfo {
  readonly name: string;
  readonly type: TypeProto | null;
}
export interface AttributeProto {
  readonly name: string;
  readonly type: number;
  readonly f: number;
  readonly i: number;
  readonly s: Uint8Array;
  readonly t: Uint8Array;
  readonly g: GraphProto | null;
  readonly floats: readonly number[];
  readonly ints: readonly number[];
  readonly strings: readonly Uint8Array[];
  readonly graphs: readonly GraphProto[];
  readonly refAttrName: string;
}
export interface NodeProto {
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly name: string;
  readonly opType: string;
  readonly attribute: readonly AttributeProto[];
  readonly domain: string;
  readonly overload: string;
  readonly metadataProps: readonly { readonly key: string; readonly value: string }[];
}
export interface GraphProto {
  readonly node: readonly NodeProto[];
  readonly name: string;
  readonly initializer: readonly Uint8Array[];
  readonly input: readonly ValueInfo[];
  readonly output: readonly ValueInfo[];
  readonly valueInfo: readonly ValueInfo[];
  readonly sparseInitializer: readonly Uint8Array[];
}
export interface FunctionProto {
  readonly name: string;
  readonly domain: string;
  readonly overload: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute: readonly string[];
  readonly attributeProto: readonly AttributeProto[];
  readonly node: readonly NodeProto[];
  readonly opsetImport: readonly OperatorSet[];
}
export interface ModelHeader {
  readonly irVersion: number;
  readonly producerName: string;
  readonly producerVersion: string;
  readonly opsetImport: readonly OperatorSet[];
  readonly functions: readonly FunctionProto[];
}
interface Messages {
  ModelProto: ModelHeader;
  GraphProto: GraphProto;
  TensorHeader: TensorHeader;
  SparseTensorProto: SparseTensor;
}

const ROOT = protobuf.parse(ONNX_SCHEMA).root;

/** Encodes one message; fields by their camel-case names. For the writer (write.ts). */
export function encodeMessage(kind: "ModelProto" | "GraphProto" | "TensorProto", fields: object): Uint8Array {
  const type = ROOT.lookupType(`onnx.${kind}`);
  return type.encode(type.fromObject(fields as Record<string, unknown>)).finish();
}

/** Decodes the bytes of one message; E0301, naming `where`, if they are not one. */
export function decodeMessage<K extends keyof Messages>(kind: K, bytes: Uint8Array, where: string): Messages[K] {
  const type = ROOT.lookupType(`onnx.${kind}`);
  try {
    const options = { longs: Number, defaults: true, arrays: true, oneofs: true };
    return type.toObject(type.decode(bytes), options) as Messages[K];
  } catch (error) {
    throw fail({
      code: "E0301",
      what: "the file is not an ONNX model, or it is damaged",
      where,
      why: error instanceof Error ? error.message : String(error),
    });
  }
}

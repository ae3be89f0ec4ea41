/**
 * The part of XLA's HloModuleProto that a model needs: names and field numbers are the public wire format
 * (openxla/xla, xla/service/hlo.proto and xla/xla_data.proto, Apache-2.0). Fields left out are skipped when decoding.
 */
export const HLO_SCHEMA = `
syntax = "proto3";
package xla;
message LayoutProto {
  repeated int64 minor_to_major = 1;
}
message ShapeProto {
  int32 element_type = 2;
  repeated int64 dimensions = 3;
  repeated ShapeProto tuple_shapes = 4;
  LayoutProto layout = 5;
  repeated bool is_dynamic_dimension = 6;
}
message ProgramShapeProto {
  repeated ShapeProto parameters = 1;
  ShapeProto result = 2;
  repeated string parameter_names = 3;
}
message OpMetadata {
  string op_type = 1;
  string op_name = 2;
  string source_file = 3;
  int32 source_line = 4;
  int32 stack_frame_id = 15;
}
message LiteralProto {
  ShapeProto shape = 1;
  repeated bool preds = 2;
  bytes u8s = 3;
  repeated int32 s32s = 4;
  repeated int64 s64s = 5;
  repeated uint32 u32s = 6;
  repeated uint64 u64s = 7;
  repeated float f32s = 8;
  repeated double f64s = 9;
  repeated LiteralProto tuple_literals = 10;
  bytes f16s = 11;
  bytes bf16s = 13;
  bytes s8s = 15;
  bytes u16s = 16;
  bytes s16s = 17;
}
message WindowDimension {
  int64 size = 1;
  int64 stride = 2;
  int64 padding_low = 3;
  int64 padding_high = 4;
  int64 window_dilation = 5;
  int64 base_dilation = 6;
  bool window_reversal = 7;
}
message Window {
  repeated WindowDimension dimensions = 1;
}
message DotDimensionNumbers {
  repeated int64 lhs_contracting_dimensions = 1;
  repeated int64 rhs_contracting_dimensions = 2;
  repeated int64 lhs_batch_dimensions = 3;
  repeated int64 rhs_batch_dimensions = 4;
}
message GatherDimensionNumbers {
  repeated int64 offset_dims = 1;
  repeated int64 collapsed_slice_dims = 2;
  repeated int64 start_index_map = 3;
  int64 index_vector_dim = 4;
  repeated int64 operand_batching_dims = 5;
  repeated int64 start_indices_batching_dims = 6;
}
message ScatterDimensionNumbers {
  repeated int64 update_window_dims = 1;
  repeated int64 inserted_window_dims = 2;
  repeated int64 scatter_dims_to_operand_dims = 3;
  int64 index_vector_dim = 4;
  repeated int64 input_batching_dims = 5;
  repeated int64 scatter_indices_batching_dims = 6;
}
message ConvolutionDimensionNumbers {
  int64 kernel_input_feature_dimension = 3;
  int64 kernel_output_feature_dimension = 4;
  repeated int64 kernel_spatial_dimensions = 6;
  int64 input_batch_dimension = 7;
  int64 input_feature_dimension = 8;
  int64 output_batch_dimension = 9;
  int64 output_feature_dimension = 10;
  repeated int64 input_spatial_dimensions = 11;
  repeated int64 output_spatial_dimensions = 12;
}
message PaddingConfig {
  message Dim {
    int64 edge_padding_low = 1;
    int64 edge_padding_high = 2;
    int64 interior_padding = 3;
  }
  repeated Dim dimensions = 1;
}
message FrontendAttributes {
  map<string,string> map = 1;
}
message HloInstructionProto {
  string name = 1;
  string opcode = 2;
  ShapeProto shape = 3;
  OpMetadata metadata = 7;
  LiteralProto literal = 8;
  int64 parameter_number = 9;
  string fusion_kind = 11;
  int64 tuple_index = 13;
  repeated int64 dimensions = 14;
  Window window = 15;
  ConvolutionDimensionNumbers convolution_dimension_numbers = 16;
  message SliceDimensions { int64 start = 1; int64 limit = 2; int64 stride = 3; }
  repeated SliceDimensions slice_dimensions = 17;
  repeated int64 dynamic_slice_sizes = 20;
  PaddingConfig padding_config = 21;
  string custom_call_target = 28;
  DotDimensionNumbers dot_dimension_numbers = 30;
  GatherDimensionNumbers gather_dimension_numbers = 33;
  repeated int64 gather_slice_sizes = 34;
  int64 id = 35;
  repeated int64 operand_ids = 36;
  repeated int64 control_predecessor_ids = 37;
  repeated int64 called_computation_ids = 38;
  bytes backend_config = 43;
  ScatterDimensionNumbers scatter_dimension_numbers = 48;
  int64 feature_group_count = 50;
  int64 batch_group_count = 58;
  bool is_stable = 60;
  string comparison_direction = 63;
  bool indices_are_sorted = 67;
  FrontendAttributes frontend_attributes = 68;
  bool unique_indices = 69;
  string comparison_type = 72;
  int64 k = 81;
  bool largest = 85;
  bool is_composite = 89;
}
message HloComputationProto {
  string name = 1;
  repeated HloInstructionProto instructions = 2;
  ProgramShapeProto program_shape = 4;
  int64 id = 5;
  int64 root_id = 6;
  bool is_fusion_computation = 7;
}
message HloModuleProto {
  string name = 1;
  string entry_computation_name = 2;
  repeated HloComputationProto computations = 3;
  ProgramShapeProto host_program_shape = 4;
  int64 id = 5;
  int64 entry_computation_id = 6;
}
`;

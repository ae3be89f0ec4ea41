/**
 * The plan file's protobuf schema. Fields are only ever added; a change of meaning is a new PLAN_VERSION. Integers of
 * attributes are doubles on file: exact to 2^53, which the rules check.
 */
export const PLAN_SCHEMA = `
syntax = "proto3";
package pumac;
message Tensor { string dtype = 1; repeated uint64 shape = 2; bytes data = 3; }
message Attribute {
  uint32 name = 1;
  repeated double numbers = 2;
  repeated string texts = 3;
  bool truth = 4;
  uint32 tensor = 5;
  repeated sint64 runs = 6;
}
message Draw { uint32 pair = 1; uint64 block = 2; }
message Step {
  uint32 op = 1;
  repeated uint32 args = 2;
  repeated Attribute attributes = 3;
  uint32 type = 4;
  uint32 origin = 5;
  uint32 round = 6;
  repeated Draw draws = 7;
  sint64 place0 = 8;
  sint64 place12 = 9;
}
message Origin { string node = 1; string op = 2; }
message Part { uint32 step = 1; uint32 scale = 2; repeated uint32 heads = 3; }
message Held { uint32 node = 1; repeated Part parts = 2; }
message Binding { string input = 1; string owner = 2; string output = 3; repeated double range = 4; }
message Shape { string name = 1; repeated uint64 shape = 2; }
message Formula {
  string function = 1;
  string window = 2;
  double max_error = 3;
  string profile = 4;
  string form = 5;
  string distance = 6;
  string outside = 7;
  string section = 8;
  string digest = 9;
}
message Form { string form = 1; double seconds = 2; }
message Choice { string node = 1; string what = 2; repeated Form forms = 3; }
message Published { string name = 1; repeated uint64 shape = 2; string why = 3; }
message Ranges { string method = 1; uint32 inputs = 2; double margin = 3; }
message Table { uint32 bits = 1; bytes data = 2; }
message Plan {
  uint32 version = 1;
  string profile = 2;
  string model_digest = 3;
  repeated Shape shapes = 4;
  uint32 rounds = 5;
  repeated string words = 6;
  repeated Step steps = 7;
  repeated Origin origins = 8;
  string model_program = 9;
  string data_program = 10;
  repeated Binding bindings = 11;
  repeated Shape reveals = 12;
  repeated Formula formulas = 13;
  repeated Table cosines = 14;
  repeated Table exponentials = 15;
  uint64 arena0 = 16;
  uint64 arena12 = 17;
  repeated Published published = 18;
  repeated Published disclosed = 19;
  Ranges ranges = 30;
  repeated Tensor tensors = 20;
  string record = 21;
  repeated Held values = 22;
  repeated Plan parts = 23;
  repeated Choice choices = 24;
}
`;

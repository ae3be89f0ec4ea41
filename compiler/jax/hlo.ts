/**
 * HloModuleProto → the syntax tree of the same program in StableHLO, so that there is one importer. HLO is StableHLO
 * with other spellings: opcodes with dashes, regions as computations of their own, several results as a tuple, and
 * CHLO's functions expanded.
 */
import { fail } from "../../ir/diagnostics.js";
import type { Attribute, BlockArgument, Module, Operation, Position, Region, Type } from "./ast.js";
import { attributesOf, RENAMED, type Reading, regionCount } from "./hlo-attributes.js";
import {
  type ComputationProto,
  decodeModule,
  type InstructionProto,
  type ModuleProto,
  type ShapeProto,
} from "./hlo-proto.js";

/** XLA's PrimitiveType as MLIR's element types. */
const ELEMENTS: Readonly<Record<number, string>> = {
  1: "i1",
  2: "i8",
  3: "i16",
  4: "i32",
  5: "i64",
  6: "ui8",
  7: "ui16",
  8: "ui32",
  9: "ui64",
  10: "f16",
  11: "f32",
  12: "f64",
  15: "complex<f32>",
  16: "bf16",
  18: "complex<f64>",
};
const TUPLE = 13;
const DEEPEST = 64;

/** Decodes and converts. E0301: not a proto; E0302: it contradicts itself. */
export function hloToModule(bytes: Uint8Array, file: string): Module {
  return new Converter(decodeModule(bytes, file), file).module();
}

class Converter implements Reading {
  private readonly computations = new Map<string, ComputationProto>();
  private readonly regions = new Map<string, Region>();
  private readonly open = new Set<string>();

  constructor(
    private readonly proto: ModuleProto,
    private readonly file: string,
  ) {
    for (const computation of proto.computations) {
      this.computations.set(computation.id ?? "0", computation);
    }
  }

  module(): Module {
    const { entryComputationId, entryComputationName } = this.proto;
    const entry =
      this.proto.computations.find((each) => each.id !== undefined && each.id === entryComputationId) ??
      this.proto.computations.find((each) => each.name === entryComputationName);
    if (entry === undefined) {
      throw this.broken("the entry computation is missing", "module");
    }
    const called = new Set<string>();
    const reach = [entry.id ?? "0"];
    for (let id = reach.pop(); id !== undefined; id = reach.pop()) {
      if (!called.has(id)) {
        called.add(id);
        reach.push(...this.calledBy(id));
      }
    }
    const functions = [...called].map((id) =>
      this.functionOf(id, id === (entry.id ?? "0") ? "main" : `computation.${id}`),
    );
    return { operations: functions, attributeAliases: {}, locationAliases: {} };
  }

  private calledBy(id: string): readonly string[] {
    return (this.computations.get(id)?.instructions ?? []).flatMap((each) => each.calledComputationIds);
  }

  private functionOf(id: string, name: string): Operation {
    const region = this.region(id);
    const [give] = region.operations.slice(-1);
    const type: Type = {
      kind: "function",
      inputs: region.args.map((argument) => argument.type),
      results: give.operandTypes,
    };
    const attributes: Record<string, Attribute> = {
      sym_name: { kind: "string", value: name },
      function_type: { kind: "type", type },
    };
    return { ...EMPTY, name: "func.func", attributes, regions: [region], position: at(name) };
  }

  /** The computation as a region whose arguments are its parameters. */
  region(id: string): Region {
    const known = this.regions.get(id);
    if (known !== undefined) {
      return known;
    }
    const computation = this.computations.get(id);
    if (computation === undefined || this.open.has(id) || this.open.size > DEEPEST) {
      throw this.broken(
        computation === undefined ? `computation ${id} is missing` : "computations call themselves",
        "module",
      );
    }
    this.open.add(id);
    const region = this.convert(computation);
    this.open.delete(id);
    this.regions.set(id, region);
    return region;
  }

  private convert(computation: ComputationProto): Region {
    const types = new Map<string, Type>();
    for (const instruction of computation.instructions) {
      types.set(instruction.id ?? "0", this.typeOf(instruction, instruction.shape));
    }
    const args: BlockArgument[] = [];
    const operations: Operation[] = [];
    for (const instruction of computation.instructions) {
      if (instruction.opcode === "parameter") {
        const number = Number(instruction.parameterNumber ?? 0);
        args[this.checkedParameter(number, computation)] = this.argument(instruction, types);
      } else {
        operations.push(...this.operations(instruction, types));
      }
    }
    if (Object.keys(args).length !== args.length) {
      throw this.broken("a parameter is missing", computation.name ?? "computation");
    }
    const root = computation.rootId ?? "0";
    const type = types.get(root);
    if (type === undefined) {
      throw this.broken("the root instruction is missing", computation.name ?? "computation");
    }
    const give: Operation = {
      ...EMPTY,
      name: "func.return",
      operands: [`%${root}`],
      operandTypes: [type],
      position: at(`${computation.name ?? ""} return`),
    };
    return { args, operations: [...operations, give] };
  }

  private checkedParameter(number: number, computation: ComputationProto): number {
    if (!(number >= 0 && number < computation.instructions.length)) {
      throw this.broken(`there is no parameter ${number}`, computation.name ?? "computation");
    }
    return number;
  }

  private argument(instruction: InstructionProto, types: ReadonlyMap<string, Type>): BlockArgument {
    const id = instruction.id ?? "0";
    const name = instruction.metadata?.opName ?? "";
    const argument = { name: `%${id}`, type: types.get(id)! };
    return name === "" ? argument : { ...argument, location: { kind: "name", name } };
  }

  private operations(instruction: InstructionProto, types: ReadonlyMap<string, Type>): readonly Operation[] {
    const opcode = instruction.opcode ?? "";
    const id = instruction.id ?? "0";
    const type = types.get(id)!;
    const name = Object.hasOwn(RENAMED, opcode) ? RENAMED[opcode] : `stablehlo.${opcode.replace(/-/g, "_")}`;
    const position = at(instruction.name ?? `instruction ${id}`);
    const location = { kind: "name" as const, name: instruction.metadata?.opName ?? instruction.name ?? "" };
    const operands = instruction.operandIds.map((operand) => `%${operand}`);
    const operandTypes = instruction.operandIds.map((operand) => {
      const found = types.get(operand);
      if (found === undefined) {
        throw this.broken(`operand ${operand} is missing`, position.label);
      }
      return found;
    });
    const common = { ...EMPTY, name, operands, operandTypes, position, location };
    if (opcode === "conditional") {
      return [this.conditional(instruction, common, type)];
    }
    const attributes = attributesOf(this, instruction);
    // A loop's body comes before its condition.
    const called =
      opcode === "while" ? [...instruction.calledComputationIds].reverse() : instruction.calledComputationIds;
    const regions = called.slice(0, regionCount(opcode)).map((each) => this.region(each));
    const whole: Operation = { ...common, attributes, regions, results: [`%${id}`], resultTypes: [type] };
    if (!SPREAD.has(opcode) || type.kind !== "tuple") {
      return [whole];
    }
    const results = type.types.map((_, i) => `%${id}.part#${i}`);
    const spread = { ...whole, results, resultTypes: type.types };
    return [
      spread,
      {
        ...common,
        name: "stablehlo.tuple",
        operands: results,
        operandTypes: type.types,
        results: [`%${id}`],
        resultTypes: [type],
      },
    ];
  }

  /** Each branch computation takes one operand; StableHLO's branches see it from inside. */
  private conditional(instruction: InstructionProto, common: Operation, type: Type): Operation {
    const [selector, ...given] = common.operands;
    const branches = instruction.calledComputationIds.map((called, i): Region => {
      const call: Operation = {
        ...EMPTY,
        name: "func.call",
        operands: given[i] === undefined ? [] : [given[i]],
        operandTypes: given[i] === undefined ? [] : [common.operandTypes[i + 1]],
        attributes: { callee: { kind: "symbol", name: `computation.${called}` } },
        results: ["%branch"],
        resultTypes: [type],
        position: common.position,
      };
      const give: Operation = {
        ...EMPTY,
        name: "stablehlo.return",
        operands: ["%branch"],
        operandTypes: [type],
        position: common.position,
      };
      return { args: [], operations: [call, give] };
    });
    const [first] = common.operandTypes;
    const boolean = first?.kind === "tensor" && first.element === "i1";
    return {
      ...common,
      name: boolean ? "stablehlo.if" : "stablehlo.case",
      operands: selector === undefined ? [] : [selector],
      operandTypes: common.operandTypes.slice(0, 1),
      regions: branches,
      results: [`%${instruction.id ?? "0"}`],
      resultTypes: [type],
    };
  }

  private typeOf(instruction: InstructionProto, shape: ShapeProto | undefined, depth = 0): Type {
    const code = shape?.elementType ?? 0;
    if (shape !== undefined && code === TUPLE && depth < DEEPEST) {
      return { kind: "tuple", types: shape.tupleShapes.map((each) => this.typeOf(instruction, each, depth + 1)) };
    }
    const element = Object.hasOwn(ELEMENTS, code) ? ELEMENTS[code] : undefined;
    if (shape === undefined || element === undefined) {
      return { kind: "other", text: `type ${code}` };
    }
    const dimensions = shape.dimensions.map((text, i) => {
      const n = Number(text);
      if (!Number.isSafeInteger(n) || (n < 0 && shape.isDynamicDimension[i] !== true)) {
        throw this.broken(`a dimension is ${text}`, instruction.name ?? "instruction");
      }
      return shape.isDynamicDimension[i] === true ? undefined : n;
    });
    return { kind: "tensor", shape: dimensions, element };
  }

  broken(what: string, where: string | undefined) {
    return fail({ code: "E0302", what, where: `${this.file}: ${where ?? "instruction"}` });
  }
}

/** Opcodes with several results, which HLO gives as a tuple. */
const SPREAD: ReadonlySet<string> = new Set(["reduce", "reduce-window", "sort", "topk"]);

const EMPTY = { results: [], operands: [], attributes: {}, regions: [], operandTypes: [], resultTypes: [] } as const;

/** A proto has no lines: instructions are named. */
function at(label: string): Position & { readonly label: string } {
  return { line: 1, column: 1, label };
}

/** The syntax tree as MLIR text in the generic form: `parseStableHlo(printModule(module))` equals `module`. */
import type { Attribute, Attributes, BlockArgument, DenseLiteral, Location, Module, Operation, Region } from "./ast.js";
import { printString } from "./scanner.js";
import { printType, printTypes } from "./types.js";

export function printModule(module: Module): string {
  const aliases = [
    ...Object.entries(module.attributeAliases).map(([name, value]) => `#${name} = ${printAttribute(value)}`),
    ...Object.entries(module.locationAliases).map(([name, value]) => `#${name} = loc(${printLocation(value)})`),
  ];
  return [...aliases, ...module.operations.map((operation) => printOperation(operation, ""))].join("\n");
}

function printOperation(operation: Operation, indent: string): string {
  const results = operation.results.length === 0 ? "" : `${printResults(operation.results)} = `;
  const attributes =
    Object.keys(operation.attributes).length === 0 ? "" : ` <${printDictionary(operation.attributes)}>`;
  const regions = operation.regions.map((region) => printRegion(region, indent)).join(", ");
  const types = `(${operation.operandTypes.map(printType).join(", ")}) -> ${printTypes(operation.resultTypes)}`;
  const location = operation.location === undefined ? "" : ` loc(${printLocation(operation.location)})`;
  const head = `${indent}${results}${printString(operation.name)}(${operation.operands.join(", ")})${attributes}`;
  return `${head}${regions === "" ? "" : ` (${regions})`} : ${types}${location}`;
}

/** Consecutive `%g#0`, `%g#1` are one group `%g:2`. */
function printResults(names: readonly string[]): string {
  const groups: { name: string; count: number }[] = [];
  for (const full of names) {
    const [name, index] = full.split("#");
    const last = groups[groups.length - 1];
    if (index !== undefined && index !== "0" && last?.name === name) {
      last.count++;
    } else {
      groups.push({ name, count: 1 });
    }
  }
  return groups.map(({ name, count }) => (count === 1 ? name : `${name}:${count}`)).join(", ");
}

function printRegion(region: Region, indent: string): string {
  const inner = `${indent}  `;
  const args = region.args.map(printArgument).join(", ");
  const head = args === "" ? "" : `${indent}^bb0(${args}):\n`;
  const body = region.operations.map((operation) => `${printOperation(operation, inner)}\n`).join("");
  return `{\n${head}${body}${indent}}`;
}

function printArgument(argument: BlockArgument): string {
  const location = argument.location === undefined ? "" : ` loc(${printLocation(argument.location)})`;
  return `${argument.name}: ${printType(argument.type)}${location}`;
}

function printDictionary(attributes: Attributes, open = "{", close = "}"): string {
  const entries = Object.entries(attributes).map(([key, value]) => {
    const name = /^[A-Za-z_][\w$.]*$/.test(key) ? key : printString(key);
    return value.kind === "unit" ? name : `${name} = ${printAttribute(value)}`;
  });
  return `${open}${entries.join(", ")}${close}`;
}

function printAttribute(attribute: Attribute): string {
  switch (attribute.kind) {
    case "number":
      return attribute.type === undefined ? attribute.text : `${attribute.text} : ${printType(attribute.type)}`;
    case "string":
      return printString(attribute.value);
    case "boolean":
      return String(attribute.value);
    case "unit":
      return "unit";
    case "array":
      return `[${attribute.values.map(printAttribute).join(", ")}]`;
    case "denseArray":
      return `array<${attribute.element}${attribute.values.length === 0 ? "" : ": "}${attribute.values.join(", ")}>`;
    case "dense":
      return `dense<${printDense(attribute.literal)}> : ${printType(attribute.type)}`;
    case "dictionary":
      return printDictionary(attribute.entries);
    case "symbol":
      return `@${printString(attribute.name)}`;
    case "type":
      return printType(attribute.type);
    case "enumeration":
      return `#stablehlo<${attribute.name} ${attribute.value}>`;
    case "structure":
      return `#${attribute.name}${printDictionary(attribute.fields, "<", ">")}`;
    case "convolution": {
      const [input, kernel, output] = [attribute.input, attribute.kernel, attribute.output].map(
        (x) => `[${x.join(", ")}]`,
      );
      return `#stablehlo.conv<${input}x${kernel}->${output}>`;
    }
    case "alias":
      return `#${attribute.name}`;
    case "opaque":
      return attribute.text;
  }
}

function printDense(literal: DenseLiteral): string {
  if (literal.form === "hex") {
    return printString(literal.text);
  }
  if (literal.elements.length === 0) {
    return literal.shape.length <= 1 && literal.shape[0] === 0 ? "" : printRows(literal, 0, 0);
  }
  return printRows(literal, 0, 0);
}

function printRows(literal: DenseLiteral & { form: "list" }, level: number, start: number): string {
  if (level === literal.shape.length) {
    return literal.elements[start];
  }
  const stride = literal.shape.slice(level + 1).reduce((product, n) => product * n, 1);
  const rows = Array.from({ length: literal.shape[level] }, (_, i) =>
    printRows(literal, level + 1, start + i * stride),
  );
  return `[${rows.join(", ")}]`;
}

function printLocation(location: Location): string {
  switch (location.kind) {
    case "unknown":
      return "unknown";
    case "alias":
      return `#${location.name}`;
    case "file":
      return location.text;
    case "name":
      return printString(location.name) + (location.child === undefined ? "" : `(${printLocation(location.child)})`);
    case "callsite":
      return `callsite(${printLocation(location.callee)} at ${printLocation(location.caller)})`;
    case "fused":
      return `fused[${location.locations.map(printLocation).join(", ")}]`;
  }
}

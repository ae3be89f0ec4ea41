/**
 * Recognises files of JAX that hold a module in a form that is not read here, and says which command makes the form
 * that is.
 */
import { fail } from "../../ir/diagnostics.js";

const BYTECODE = [0x4d, 0x4c, 0xef, 0x52];
const EXPORT_FIX =
  "python -c \"import jax, sys; print(jax.export.deserialize(open(sys.argv[1], 'rb').read()).mlir_module())\" " +
  "FILE > model.mlir";
const BYTECODE_FIX =
  'python -c "import sys; from jax.interpreters import mlir; from jaxlib.mlir.dialects import stablehlo; ' +
  "c = mlir.make_ir_context(); print(stablehlo.deserialize_portable_artifact(c, open(sys.argv[1], 'rb').read()))\" " +
  "FILE > model.mlir";

/** Throws E0301 for MLIR bytecode, a jax.export blob, an ONNX-unlike binary or HLO text; returns for anything else. */
export function refuseOtherForms(bytes: Uint8Array, file: string): void {
  if (startsWith(bytes, 0, BYTECODE)) {
    throw fail({ code: "E0301", what: "this is MLIR bytecode", where: file, fix: BYTECODE_FIX });
  }
  if (indexOfBytecode(bytes) !== -1 && isFlatBuffer(bytes)) {
    throw fail({ code: "E0301", what: "this is a jax.export blob", where: file, fix: EXPORT_FIX });
  }
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, 64));
  if (/^HloModule\s/.test(head)) {
    const fix = "write the proto: jax.jit(f).lower(*args).compiler_ir('hlo').as_serialized_hlo_module_proto()";
    throw fail({ code: "E0301", what: "this is HLO text", where: file, fix });
  }
}

function startsWith(bytes: Uint8Array, at: number, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[at + i] === byte);
}

function indexOfBytecode(bytes: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(Buffer.from(BYTECODE));
}

/** A FlatBuffer begins with the offset of its root table, which begins with the distance to its vtable. */
function isFlatBuffer(bytes: Uint8Array): boolean {
  if (bytes.length < 16) {
    return false;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const root = view.getUint32(0, true);
  if (root < 4 || root + 4 > bytes.length) {
    return false;
  }
  const table = root - view.getInt32(root, true);
  return table >= 4 && table + 4 <= bytes.length && view.getUint16(table, true) >= 4;
}

/** For every code an example that gives it, and how it is mended: what `pumac explain` and docs/errors.md add. */
import type { DiagnosticCode } from "./catalogue.js";

export interface Mend {
  /** A command, or what happens to be the case. */
  readonly example: string;
  readonly mend: string;
}

/** As arguments: the example, then the mend. */
function by(example: string, ...mend: readonly string[]): Mend {
  return { example, mend: mend.join(" ") };
}

export const MENDS: Readonly<Record<DiagnosticCode, Mend>> = {
  E0201: by(
    "pumac inspect model.pumac --by leyer",
    "Look the option up in pumac inspect --help; names are listed there.",
  ),
  E0202: by(
    "pumac run model.pumac --input input_ids=1x64xi64=… of a plan for [1, 128]",
    "Give every input the name, shape and type of the plan, or compile a plan for the shapes that you have.",
  ),
  E0203: by(
    "pumac compile model.onnx, exported with a dimension 'batch'",
    "Add --dim batch=1, or --shape input_ids=1x128.",
  ),
  E0301: by("pumac inspect modle.pumac", "Check the name, the ending and whether the file can be read by you."),
  E0302: by(
    "a model whose node names an input that no node gives",
    "Export it again; the node that is named is where.",
  ),
  E0303: by("pumac run with a plan of an older version", "Compile the model again with this pumac."),
  E0304: by(
    "a model.onnx that names ../weights.bin",
    "Put the data beside the model and export with a plain file name.",
  ),
  E0305: by(
    "a topology without the address of P1",
    "Write it with pumac init, and add what others send with topology add.",
  ),
  E0306: by(
    "a disk that lost a block of what P1 keeps",
    "pumac share --delete ID, then share the model again with pumac share.",
  ),
  E0401: by(
    "a model with NonMaxSuppression",
    "Export without it, or cut the model before it: the fix names what else.",
  ),
  E0402: by("a convolution over four axes", "Reshape before the operator, or export it in another form."),
  E0403: by(
    "a gather by an index that is computed from secret data",
    "Make the index public with --public where it may be, or compute it before the model.",
  ),
  E0404: by(
    "1/x of a value that may be zero",
    "Calibrate on real inputs (--calibrate), or clip the value in the model.",
  ),
  E0405: by(
    "pumac run of a plan of a model that was written with --no-weights",
    "Compile with the weights at hand; --assume-ranges where assumed ranges are enough.",
  ),
  E0501: by(
    "pumac inspect model.pumac --budget 'bytes<1MB'",
    "See what is dear with --by node --top 10; shorter inputs and smaller models cost less.",
  ),
  E0502: by(
    "pumac run … --expect logits=@ref.npy --tolerance 1e-6",
    "simulate --report names the first node that is off; --fraction 16 gives smaller errors.",
  ),
  E0503: by(
    "an input that is ten times as large as all that the plan was calibrated on",
    "Compile again with --calibrate on inputs like it.",
  ),
  E0601: by(
    "P1's machine was restarted in a session",
    "See that all three run (pumac doctor --topology FILE); ask again.",
  ),
  E0602: by("P2 is there but does not answer", "Look at P2's log and load; --timeout gives it longer."),
  E0701: by("P1's certificate was made anew and not told", "Get its public part again: pumac topology add FILE."),
  E0801: by(
    "pumac verify model.pumac --model other.onnx",
    "Give the model that the plan was compiled from, or all parties the same plan.",
  ),
  E0802: by("a plan that nobody approved at P2", "At that party: pumac inspect PLAN, then pumac trust approve DIGEST."),
  E0803: by("pumac infer before pumac share", "The model's owner runs pumac share MODEL --plan PLAN."),
  E0901: by(
    "a party that runs a changed program",
    "Run the same version of pumac at all parties; report it where you do.",
  ),
  E0902: by("a clock that is an hour late", "Set the clock; pumac doctor --topology FILE compares clocks."),
  E1001: by(
    "BERT-large on a machine with 1 GB",
    "Free memory or disk, or take a larger machine: both numbers are named.",
  ),
  E1002: by("nine people ask at once", "Ask again later, or let the party run more sessions (pumac party --sessions)."),
  E1003: by("the hundredth question of a day of hundred", "Wait for tomorrow, or ask the party's operator."),
  W0301: by(
    "attention_mask and token_type_ids were the same tensor in the export",
    "Export with distinct example tensors.",
  ),
  W0302: by(
    "value_info says [1, 128], the operator gives [1, 64]",
    "Nothing need be done; export again to be rid of it.",
  ),
  W0303: by("model.onnx without its model.onnx.data", "Copy the data beside the model before running the plan."),
  W0304: by("a model of opset 30", "Compare an output with a reference (--expect), or export for an older opset."),
  W0305: by("an export in train() mode", "Call model.eval() and export again."),
  W0306: by(
    "a module printed without debug information",
    "Print with as_text(debug_info=True), or give --weights-args.",
  ),
  W0307: by("a model by quantize_dynamic", "Nothing need be done: the answers are those before it was quantised."),
  W0308: by(
    "GELU written as pieces of polynomials",
    "Nothing need be done; export the model's stock form to be rid of it.",
  ),
  W0309: by(
    "a classifier that reads hidden[ids == eos]",
    "Nothing need be done: inputs with another number of such places are E0202, to their owner alone.",
  ),
  W0401: by(
    "the square root of a variance that was always positive",
    "Calibrate on more inputs, or clip it in the model.",
  ),
  W0402: by(
    "-1e9 added to values that are no scores",
    "Move the mask into the softmax's scores, where it costs nothing.",
  ),
  W0403: by("pumac compile of a model without weights", "Compile with the weights at hand, or give --calibrate."),
};

/**
 * Every diagnostic code, once: its exit status (CLI.md), its title and the page that `pumac explain CODE` prints.
 * The first two digits of a code are its exit status: E03xx bad file, E04xx unsupported, E05xx a gate failed,
 * E06xx a peer, E07xx identity, E08xx disagreement, E09xx protocol, E10xx resources, E02xx usage. Wxxxx are warnings:
 * they never end a command, their status is unused.
 */
export interface CatalogueEntry {
  readonly exit: 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;
  readonly title: string;
  readonly explain: string;
}

/** An entry; an explanation may be given in parts, one a line. */
function entry(exit: CatalogueEntry["exit"], title: string, ...explain: readonly string[]): CatalogueEntry {
  return { exit, title, explain: explain.join(" ") };
}

export const CATALOGUE = {
  E0201: entry(
    2,
    "unknown option or argument",
    "The command line does not fit the command. `pumac COMMAND --help` shows what it takes.",
  ),
  E0202: entry(
    2,
    "input does not fit the plan",
    "An input has another name, shape or type than the plan declares. `pumac inspect PLAN` lists the inputs.",
  ),
  E0203: entry(
    2,
    "dimension not bound",
    "A model's symbolic dimension has no value. A plan has fixed shapes: bind it with --dim NAME=N or --shape",
    "INPUT=AxB.",
  ),
  E0301: entry(3, "file cannot be read", "The file is missing, truncated or not of the kind its name says."),
  E0302: entry(
    3,
    "malformed model",
    "The model file decodes but contradicts itself: a missing value, a wrong shape, an attribute of the wrong type.",
  ),
  E0303: entry(
    3,
    "malformed plan",
    "The plan file is of another version, truncated or was changed after it was written. Compile it again.",
  ),
  E0304: entry(
    3,
    "external data outside the model's folder",
    "External tensor data must lie beside the model: no absolute path, no '..', no link that leads out.",
  ),
  E0305: entry(
    3,
    "malformed topology",
    "The topology file, a key or a certificate is missing, damaged or says something that it must not. `pumac init`",
    "writes one; `pumac topology add FILE` adds the public part of another organisation.",
  ),
  E0306: entry(
    3,
    "kept shares are damaged",
    "What a party keeps of a sharing of weights is not what it received. Delete the sharing",
    "(`pumac share --delete ID`) and share the model again.",
  ),
  E0401: entry(
    4,
    "unsupported operator",
    "The model uses operators that pumac cannot run. All of them are listed; each with what to export instead.",
  ),
  E0402: entry(4, "unsupported shape or type", "The operator is known but not for these shapes or types."),
  E0403: entry(
    4,
    "operator has no meaning on secret data",
    "The operator is supported on public values only, and one of its inputs is secret.",
  ),
  E0404: entry(
    4,
    "value without bound",
    "A secret value may exceed what fixed point can hold. Calibrate with real inputs (--calibrate) or change",
    "the model.",
  ),
  E0405: entry(
    4,
    "ranges are assumed",
    "The plan was compiled without weights: how large values become was not measured. It is for questions of cost.",
    "Compile it with the weights at hand; --assume-ranges makes a plan that runs on assumed ranges all the same.",
  ),
  E0501: entry(5, "budget exceeded", "The plan costs more than --budget allows."),
  E0502: entry(5, "output outside the tolerance", "An output differs from --expect by more than --tolerance."),
  E0503: entry(
    5,
    "a value left its range",
    "The overflow guard says that some value left the range that the plan was made for: the answer would be noise, and",
    "is withheld. Compile again with --calibrate on inputs like this one; pumac simulate --report names the node.",
    "Without a guard (--no-guard) nobody would have noticed.",
  ),
  E0601: entry(
    6,
    "peer unreachable",
    "A party cannot be reached or closed its connection in the middle of a session. The session is over; start",
    "a new one.",
  ),
  E0602: entry(6, "peer timed out", "A party did not answer in time. The session is over; start a new one."),
  E0701: entry(7, "peer is not who it says", "A certificate does not belong to the party that the topology names."),
  E0801: entry(8, "parties disagree", "The parties do not hold the same plan, weights or version of pumac."),
  E0802: entry(
    8,
    "plan not approved",
    "A party runs only plans that its operator has approved: `pumac inspect` the plan there, then",
    "`pumac trust approve DIGEST`.",
  ),
  E0803: entry(
    8,
    "no sharing of the weights",
    "The three parties keep no common sharing of weights for this plan. The model's owner runs",
    "`pumac share MODEL --plan PLAN` first, or again.",
  ),
  E0901: entry(
    9,
    "protocol violation",
    "A peer sent a frame that the plan does not foresee: wrong kind, length or order.",
  ),
  E0902: entry(
    9,
    "session id refused",
    "A session's id is used once, within minutes of the moment in which it was drawn. It was used before, or the clock",
    "of the machine that asks is wrong: `pumac doctor --topology FILE` compares the clocks.",
  ),
  E1001: entry(10, "out of resources", "Memory, disk or processes are exhausted."),
  E1002: entry(
    10,
    "party is busy",
    "A party runs as many sessions as it may, and as many wait already; or it is being stopped. Ask again later.",
  ),
  E1003: entry(10, "quota is used up", "This data owner has asked as often as the party's operator allows in a day."),
  W0301: entry(
    3,
    "model input is unused",
    "No node uses this input. The dynamo exporter merges inputs that were the same tensor object while tracing;",
    "then the model computes something else. Export again with distinct example tensors.",
  ),
  W0302: entry(
    3,
    "shape annotation disagrees",
    "The model file says another shape for a value than its operators give. The operators are trusted.",
  ),
  W0303: entry(
    3,
    "external data is missing",
    "The model's weights lie in a file that is absent. It can be compiled, because a compile needs shapes only,",
    "but not run.",
  ),
  W0304: entry(
    3,
    "operator set is newer than known",
    "The model declares an operator set that is newer than this version of pumac. Compare an output with a",
    "reference.",
  ),
  W0305: entry(
    3,
    "model exported in training mode",
    "Dropout nodes carry a training flag. Inference leaves them out; call model.eval() before exporting.",
  ),
  W0306: entry(
    3,
    "arguments without names",
    "The module does not say which of its arguments are weights, so they are all taken for data. Export with",
    "as_text(debug_info=True), or name them with --weights-args or a weights file.",
  ),
  W0307: entry(
    3,
    "activations rounded to few bits",
    "The model rounds activations to 8 bits while it runs (DynamicQuantizeLinear). The plan leaves that out and",
    "computes with the numbers that they stand for: its answers are those of the model before it was quantised.",
  ),
  W0308: entry(
    3,
    "approximation by hand",
    "The model has an approximation that people write for secure computation, such as PUMA's piecewise GELU. The plan",
    "computes the function that it stands for, by its own approximation; answers are those of the model's stock form.",
  ),
  W0309: entry(
    3,
    "one place in each row",
    "The model finds places in its inputs whose number only a run knows (NonZero of ids == eos, as BART's and T5's",
    "classifiers do). The plan takes one in each row, or the last where the model reads the last of as many in every",
    "row; a data owner whose inputs are otherwise gets E0202 before anything is sent.",
  ),
  W0401: entry(
    4,
    "domain known from samples only",
    "1/x, √x or ln x is computed of a value that was only seen on one side of zero while calibrating; nothing in the",
    "model keeps it there. Calibrate with more inputs, or clip it in the model.",
  ),
  W0402: entry(
    4,
    "mask computed as a number",
    "A constant far below every value is added or chosen outside of a softmax's scores. It is right, but every value",
    "that it meets carries its size.",
  ),
  W0403: entry(
    4,
    "range assumed",
    "Nothing bounds a value: no weights, no calibration inputs. It is planned with an assumed size; a run whose values",
    "are larger gives noise. Calibrate with real inputs (--calibrate).",
  ),
} as const satisfies Record<string, CatalogueEntry>;

export type DiagnosticCode = keyof typeof CATALOGUE;

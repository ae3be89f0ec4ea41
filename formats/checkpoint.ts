/**
 * A model as Hugging Face saves it: a folder with `config.json` and the weights in `model.safetensors`, or in shards
 * that `model.safetensors.index.json` lists. Weights stay on disk until they are asked for.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fail } from "../ir/diagnostics.js";
import { readBytes } from "./files.js";
import type { StoredTensor } from "./onnx/tensor-proto.js";
import { SafetensorsFile } from "./safetensors.js";

export interface Checkpoint {
  /** The parsed config, and where it is. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly configPath: string;
  readonly names: ReadonlySet<string>;
  /** A weight by its name, read when asked for; undefined where the checkpoint has none of that name. */
  tensor(name: string): StoredTensor | undefined;
}

const CONFIG = "config.json";
const WHOLE = "model.safetensors";
const INDEX = `${WHOLE}.index.json`;

/** Whether a path is a folder: a model then, as Hugging Face saves it. */
export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** The folder that a model's companions lie in: itself, or the one that its file is in. */
export function folderOf(model: string): string {
  return isFolder(model) ? model : dirname(model);
}

/** The tokenizer that a model's folder has; a model that is a file has none of its own. */
export function tokenizerIn(model: string): string | undefined {
  const path = join(model, "tokenizer.json");
  return isFolder(model) && existsSync(path) ? path : undefined;
}

/** Opens a folder. E0301 where its config or its weights are missing or damaged. */
export function openCheckpoint(folder: string): Checkpoint {
  const configPath = join(folder, CONFIG);
  if (!existsSync(configPath)) {
    throw fail({
      code: "E0301",
      what: `the folder has no ${CONFIG}`,
      where: folder,
      why: "a folder is a model as Hugging Face saves it: config.json with model.safetensors or its shards",
      fix: "give a model's folder, or an .onnx, .mlir or .hlo.pb file",
    });
  }
  const config = jsonObject(configPath);
  const files = new Map<string, SafetensorsFile>();
  for (const file of weightFiles(folder)) {
    const opened = SafetensorsFile.open(file);
    opened.names.forEach((name) => void files.set(name, opened));
  }
  return {
    config,
    configPath,
    names: new Set(files.keys()),
    tensor(name) {
      const file = files.get(name);
      const type = file?.typeOf(name);
      return file && type && { ...type, name, absent: false, read: (...part) => file.read(name, ...part).data };
    },
  };
}

function jsonObject(path: string): Readonly<Record<string, unknown>> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(readBytes(path)));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw fail({ code: "E0301", what: "the file is not JSON", where: path, why });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw fail({ code: "E0301", what: "the file holds no JSON object", where: path });
  }
  return json as Readonly<Record<string, unknown>>;
}

/** The files with the weights: the shards of an index, the whole, or the only one of the folder. */
function weightFiles(folder: string): readonly string[] {
  const index = join(folder, INDEX);
  if (existsSync(index)) {
    return shardsOf(folder, index);
  }
  const found = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
  const file = found.includes(WHOLE) ? WHOLE : found.length === 1 ? found[0] : undefined;
  if (file === undefined) {
    const exported = readdirSync(folder).find((name) => name.endsWith(".onnx"));
    const others = readdirSync(folder).filter((name) => /\.(bin|pt|pth|ckpt|h5|msgpack)$/.test(name));
    throw fail({
      code: "E0301",
      what: `the folder has no ${WHOLE}`,
      where: folder,
      ...(others.length > 0 && { why: `weights are read from safetensors only, not from ${others.join(", ")}` }),
      fix:
        exported === undefined
          ? "save the model with save_pretrained, which writes model.safetensors"
          : `give the export in it: ${join(folder, exported)}`,
    });
  }
  return [join(folder, file)];
}

/** An index comes from strangers: what it names must lie in the folder itself. */
function shardsOf(folder: string, index: string): readonly string[] {
  const { weight_map: map } = jsonObject(index);
  const names = typeof map === "object" && map !== null ? [...new Set(Object.values(map))] : [];
  const isName = (name: unknown): name is string => typeof name === "string" && basename(name) === name;
  if (names.length === 0 || !names.every(isName)) {
    throw fail({
      code: "E0304",
      what: "the index of the weights does not name files of its own folder",
      where: index,
      fix: "copy the model's folder again",
    });
  }
  const missing = names.filter((name) => !existsSync(join(folder, name)));
  if (missing.length > 0) {
    throw fail({
      code: "E0301",
      what: `the folder lacks ${missing.length} of ${names.length} files of weights`,
      where: folder,
      why: `there is no ${missing.slice(0, 4).join(", ")}`,
      fix: "copy or download the missing files beside the others",
    });
  }
  return names.map((name) => join(folder, name));
}

/** The front end for JAX: StableHLO text and HloModuleProto. */
export { KNOWN_OPERATIONS } from "./importer.js";
export {
  type ImportedModel,
  importHlo,
  importJax,
  importModule,
  importStableHlo,
  type JaxOptions,
  type SourceOptions,
} from "./model.js";
export { parseStableHlo } from "./parser.js";
export { printModule } from "./printer.js";

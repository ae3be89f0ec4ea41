/** The front end for JAX: StableHLO text and HloModuleProto. */
export {
  importHlo,
  importJax,
  importModule,
  importStableHlo,
  type JaxOptions,
  type SourceOptions,
} from "./model.js";

/** The rules of imports, as dependency-cruiser takes them. */
import type { IForbiddenRuleType } from "dependency-cruiser";

export const configuration: {
  readonly forbidden: IForbiddenRuleType[];
  readonly options: {
    readonly tsPreCompilationDeps: boolean;
    readonly doNotFollow: string;
    readonly enhancedResolveOptions: { readonly exportsFields: string[]; readonly conditionNames: string[] };
  };
};

/** Holds what commands print with --json to the published schemas. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { expect } from "vitest";

const SCHEMAS = join(import.meta.dirname, "..", "..", "schemas");
const ajv = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true, strictRequired: false });
const schemas = new Map(
  readdirSync(SCHEMAS).map((name) => {
    const schema = JSON.parse(readFileSync(join(SCHEMAS, name), "utf8"));
    return [schema.$id as string, schema] as const;
  }),
);

/** Every document that has a schema. */
export const DOCUMENTS: readonly string[] = [...schemas.keys()].toSorted();

/** The document in what a command printed, which must be what the schema that it names says. */
export function documentOf(text: string): Record<string, unknown> & { readonly schema: string } {
  const document = JSON.parse(text);
  const schema = schemas.get(document.schema);
  expect(schema, document.schema).toBeDefined();
  const isValid = ajv.compile(schema!);
  isValid(document);
  expect(isValid.errors ?? []).toEqual([]);
  return document;
}

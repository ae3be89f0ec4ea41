/** What deploy/ starts is what the command line has: every `party` command there parses, its options exist. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { createProgram } from "../../cli/program.js";

const DEPLOY = join(import.meta.dirname, "..", "..", "deploy");

/** The words after `pumac`, or of a list that begins with `party`, for every party that a file starts. */
function startedBy(file: string): readonly (readonly string[])[] {
  const text = readFileSync(join(DEPLOY, file), "utf8").replaceAll("%i", "3").replaceAll("$(LANE)", "3");
  const shell = [...text.matchAll(/^ExecStart=\S*pumac (.+)$/gm)].map(([, words]) => words.split(" "));
  const documents = file.startsWith("kubernetes/") ? parseAllDocuments(text).map((each) => each.toJSON()) : [];
  const pods = documents
    .flatMap(({ spec }) => spec.template?.spec.containers ?? [])
    .map(({ args }) => args.map(String));
  const lists = [...text.matchAll(/\["?(party"?, .+)\]$/gm)].map(([, words]) => words.replaceAll('"', "").split(", "));
  return [...shell, ...lists, ...pods];
}

describe("deploy", () => {
  it.each([
    ["systemd/pumac-party.service", 1],
    ["systemd/pumac-party@.service", 1],
    ["kubernetes/party-p0.yaml", 1],
    ["kubernetes/party-p1.yaml", 1],
    ["kubernetes/party-p2.yaml", 1],
    ["Dockerfile", 1],
    ["compose.yaml", 3],
  ])("%s starts parties with options that there are", async (file, count) => {
    const started = startedBy(file);
    expect(started).toHaveLength(count);
    for (const [name, ...words] of started) {
      const command = (await createProgram(name)).commands.find((each) => each.name() === name)!;
      expect(command.parseOptions(words)).toMatchObject({ operands: [], unknown: [] });
    }
  });
});

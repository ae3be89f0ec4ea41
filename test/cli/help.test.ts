/** --help of every command: two examples of options that it has, no empty default; mistakes point to it. */
import { describe, expect, it } from "vitest";
import { commandNames, createProgram } from "../../cli/program.js";
import { pumac } from "../processes/command.js";

describe.each(commandNames())("pumac %s --help", (name) => {
  it("shows two examples of options that there are, and no default that says nothing", async () => {
    const command = (await createProgram(name)).commands.find((each) => each.name() === name)!;
    const parts: string[] = [];
    command.configureOutput({ writeOut: (part) => void parts.push(part) }).outputHelp();
    const text = parts.join("");
    const examples = text.split("\n").filter((line) => line.startsWith(`  $ pumac ${name}`));
    expect(examples).toHaveLength(2);
    const options = examples.join(" ").match(/(?<= )--?[a-z][a-z-]*/g) ?? [];
    const known = [command, ...command.commands].flatMap((each) => each.options);
    for (const option of options) {
      expect(known.flatMap(({ long, short }) => [long, short])).toContain(option);
    }
    expect(text).not.toContain("(default: [])");
    expect(text).toContain("--quiet");
  });
});

it("is what a mistake in the options points to", async () => {
  const { status, stderr } = await pumac("inspect", "x.pumac", "--nothing");
  expect(stderr).toMatch(/^error\[E0201\]: unknown option '--nothing'.*\n {2}fix: see pumac inspect --help\n$/);
  expect(status).toBe(2);
  expect((await pumac("inspekt")).stderr).toMatch(/fix: see pumac --help\n$/);
});

it.each(["bash", "zsh", "fish"])("completion for %s is a script that asks pumac", async (shell) => {
  const { status, stdout } = await pumac("complete", shell);
  expect(status).toBe(0);
  expect(stdout).toMatch(/pumac complete --/);
});

it("completion knows the commands and their options", async () => {
  const all = (await pumac("complete", "--", "")).stdout.split("\n").map((line) => line.split("\t")[0]);
  expect(all).toEqual(expect.arrayContaining([...commandNames()]));
  expect((await pumac("complete", "--", "inspect", "--s")).stdout).toMatch(/^--sort\t/);
});

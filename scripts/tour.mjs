/**
 * The README's tour: the commands in its blocks (lines that begin with "$ ") with what they print. `npm run docs:tour`
 * runs them all and writes what they print now; test/docs/tour.long.ts runs them and compares.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./workspace.mjs";

/** The blocks of a page that show commands: where they are, and each command with the lines below it. */
export function tourOf(page) {
  return [...page.matchAll(/^```\n(\$ .*?)^```$/gms)].map((found) => {
    const commands = [];
    let isOpen = false;
    for (const line of found[1].replace(/\n$/, "").split("\n")) {
      if (line.startsWith("$ ")) {
        commands.push({ command: line.slice(2), output: [] });
      } else if (isOpen) {
        commands.at(-1).command += `\n${line}`;
      } else {
        commands.at(-1).output.push(line);
      }
      isOpen = (line.startsWith("$ ") || isOpen) && line.endsWith("\\");
    }
    return { from: found.index, length: found[0].length, commands };
  });
}

/** How far something is, which only slow machines say. */
const PROGRESS = /^(running|simulating|compiling|opening the model|calibrating): /;

/** Runs every command in a folder that looks like the checkout; gives the lines that each prints. */
export function runTour(blocks) {
  const folder = mkdtempSync(join(tmpdir(), "pumac-tour-"));
  try {
    for (const name of readdirSync(root).filter((each) => !each.startsWith(".git"))) {
      symlinkSync(join(root, name), join(folder, name));
    }
    return blocks.map(({ commands }) => {
      let cwd = folder;
      return commands.map(({ command }) => {
        const script = `cd "${cwd}"\n${command}\necho "@@$PWD"`;
        const env = { ...process.env, XDG_STATE_HOME: join(folder, ".state"), LC_ALL: "C.UTF-8" };
        const { stdout } = spawnSync("bash", ["-c", `exec 2>&1\n${script}`], { encoding: "utf8", env });
        const [text, place] = stdout.split("@@");
        cwd = place.trim();
        const lines = text.trimEnd().split("\n").filter((line) => !PROGRESS.test(line));
        return lines.length === 1 && lines[0] === "" ? [] : lines;
      });
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The output as the page shows it: "…" stands for lines left out; as many as now stand before and after it. */
export function shortened(shown, printed) {
  const gap = shown.indexOf("…");
  if (gap < 0) {
    return printed;
  }
  const after = shown.slice(gap + 1, shown.findLastIndex((line) => line !== "") + 1);
  const table = printed.findIndex((line) => line.startsWith("┌"));
  const rest = after.length === 0 ? [] : after[0].startsWith("┌") ? printed.slice(table) : printed.slice(-after.length);
  return [...printed.slice(0, gap), "…", ...rest];
}

/** What differs from run to run: times, process ids, the last places of answers. */
export function steady(line) {
  return line
    .replace(/process \d+/g, "process N")
    .replace(/\d+(\.\d+)? m?s\b/g, "T")
    .replace(/-?\d+\.\d{4,}\b/g, "X")
    .replace(/(difference \S* ?)[\d.e-]+/g, "$1X")
    .replace(/ +/g, " ")
    .trimEnd();
}

if (process.argv[1] === import.meta.filename) {
  const path = join(root, "README.md");
  let page = readFileSync(path, "utf8");
  const blocks = tourOf(page);
  const printed = runTour(blocks);
  for (const [i, { from, length, commands }] of [...blocks.entries()].reverse()) {
    const parts = commands.map(({ command, output }, j) => {
      const lines = shortened(output, printed[i][j]);
      return [`$ ${command}`, ...lines, ...(j < commands.length - 1 ? [""] : [])].join("\n");
    });
    page = `${page.slice(0, from)}\`\`\`\n${parts.join("\n")}\n\`\`\`${page.slice(from + length)}`;
  }
  writeFileSync(path, page);
}

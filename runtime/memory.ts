/** What this process has needed. */
import { readFileSync } from "node:fs";

/**
 * The largest resident memory that this process ever had, in bytes. Where there is /proc: elsewhere the system's own
 * count is taken, and Linux's (`maxRSS`) also counts the process that started this one.
 */
export function peakMemory(): number {
  try {
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
    return found === null ? systemsCount() : Number(found[1]) * 1024;
  } catch {
    return systemsCount();
  }
}

function systemsCount(): number {
  return process.resourceUsage().maxRSS * 1024;
}

/** Processor seconds and peak memory (bytes) of this process. */
export function processUsage(): { readonly cpu: number; readonly memory: number } {
  const { user, system } = process.cpuUsage();
  return { cpu: (user + system) / 1e6, memory: peakMemory() };
}

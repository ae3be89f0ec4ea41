/**
 * Protects: whatever network, machines and disks do, a question ends in the right answer or in an error that names a
 * cause, in time; nobody hangs, no key makes two streams, no session is written down twice, and when peace has come
 * every room and socket is free and the next question is answered. Parties, owners and what is between them are in this
 * process, on a clock of their own, and follow from a seed: one that fails is in the test's name and plays again.
 * PUMAC_FAULTS=10000 plays so many (npm run fuzz), PUMAC_FAULTS_FROM the first of them.
 */
import { afterAll, beforeAll, it, vi } from "vitest";
import { endSimulation, play, playLies, prepareSimulation } from "./simulated.js";

vi.mock("node:tls", async () => (await import("./simulated-network.js")).tls);
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const { onDisk } = await import("./simulated-disk.js");
  const written = { writeFileSync: onDisk(fs.writeFileSync as never), writeSync: onDisk(fs.writeSync as never) };
  // A process that ends loses nothing that it wrote: only a machine does, which is not played here.
  return { ...fs, ...written, fsyncSync: () => undefined, default: fs };
});
vi.mock("../../client/sharing.js", async (original) => {
  const sharing = await original<typeof import("../../client/sharing.js")>();
  const { noteKey } = await import("./simulated-disk.js");
  class Sharer extends sharing.Sharer {
    override mask(...[layout, value, seeds]: Parameters<InstanceType<typeof sharing.Sharer>["mask"]>) {
      if (seeds !== undefined && layout.name === "x") {
        noteKey("clinic", seeds.first);
      }
      return super.mask(layout, value, seeds);
    }
  }
  return { ...sharing, Sharer };
});

const FIRST = Number(process.env.PUMAC_FAULTS_FROM ?? 1);
/** Seeds that found faults: a link held by pulses, a copy of what was used, an entry that a full disk left usable. */
const FOUND = [67, 406, 4398, 4887];
const RANGE = Array.from({ length: Number(process.env.PUMAC_FAULTS ?? 40) }, (_, i) => FIRST + i);
const SEEDS = [...RANGE, ...FOUND.filter((seed) => !RANGE.includes(seed))];

beforeAll(prepareSimulation);
afterAll(endSimulation);

it.each(SEEDS)("with seed %i all ends well, or for a stated cause", async (seed) => {
  await play(seed);
});

it.each(SEEDS)("with seed %i who keeps to no protocol is refused, and nobody else is troubled", async (seed) => {
  await playLies(seed);
});

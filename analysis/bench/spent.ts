/** Wall and CPU seconds of work in this process, all of its threads together. */
export interface Spent {
  readonly wall: number;
  readonly cpu: number;
}

export async function spent(work: () => unknown): Promise<Spent> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(before);
  return { wall: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 };
}

/** The least of several runs, wall and CPU apart: other programs only ever add to them. */
export async function best(runs: number, work: () => Promise<Spent>): Promise<Spent> {
  const all: Spent[] = [];
  for (let i = 0; i < runs; i++) {
    all.push(await work());
  }
  return { wall: Math.min(...all.map(({ wall }) => wall)), cpu: Math.min(...all.map(({ cpu }) => cpu)) };
}

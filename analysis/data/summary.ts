/** What a run over a data set comes to: agreement with the plain model, accuracy, errors, with intervals. */

/** A number of hits, with Wilson's score interval of its share at 95 % (JASA 1927). */
export interface Share {
  readonly hits: number;
  readonly count: number;
  readonly share: number;
  readonly low: number;
  readonly high: number;
}

export function shareOf(hits: number, count: number): Share {
  const z = 1.96;
  const share = hits / count;
  const spread = 1 + z ** 2 / count;
  const middle = (share + z ** 2 / (2 * count)) / spread;
  const half = (z / spread) * Math.sqrt((share * (1 - share)) / count + z ** 2 / (4 * count ** 2));
  return { hits, count, share, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/** `859 of 872 = 98.51 %, 95 % interval 97.46 to 99.13 %`. */
export function describeShare({ hits, count, share, low, high }: Share): string {
  const [middle, from, to] = [share, low, high].map((part) => (100 * part).toFixed(2));
  return `${hits} of ${count} = ${middle} %, 95 % interval ${from} to ${to} %`;
}

/** One example: its scores by the three roles and by the plain model, and its class where the set says it. */
export interface Scored {
  readonly index: number;
  readonly label: number | undefined;
  readonly privately: readonly number[];
  readonly plainly: readonly number[];
  /** Whether the overflow guard withheld the answer. */
  readonly alarm: boolean;
}

export interface Summary {
  /** Examples that were answered. */
  readonly count: number;
  /** Examples of which the overflow guard withheld the answer, by place. */
  readonly alarms: readonly number[];
  /** Examples of which both find the same class. */
  readonly agreement: Share;
  /** Examples with the set's class; undefined where no example has one. */
  readonly accuracy: { readonly privately: Share; readonly plainly: Share } | undefined;
  readonly largestError: number;
  /** Mean over examples of the largest error of a score. */
  readonly meanError: number;
  /** Examples of which the two find different classes. */
  readonly different: readonly Scored[];
}

/** The class that scores say: the largest one's place; of a single score its sign. */
export function classOf(scores: readonly number[]): number {
  return scores.length === 1 ? Number(scores[0] > 0) : scores.indexOf(Math.max(...scores));
}

/** Sums up; there must be an example that was answered. */
export function summarise(scored: readonly Scored[]): Summary {
  const found = scored
    .filter(({ alarm }) => !alarm)
    .map((each) => ({
      ...each,
      error: each.privately.reduce((most, x, i) => Math.max(most, Math.abs(x - each.plainly[i])), 0),
      privateClass: classOf(each.privately),
      plainClass: classOf(each.plainly),
    }));
  const labelled = found.filter(({ label }) => label !== undefined);
  const right = (pick: (each: (typeof found)[number]) => number): Share =>
    shareOf(labelled.filter((each) => pick(each) === each.label).length, labelled.length);
  const different = found.filter(({ privateClass, plainClass }) => privateClass !== plainClass);
  return {
    count: found.length,
    alarms: scored.filter(({ alarm }) => alarm).map(({ index }) => index),
    agreement: shareOf(found.length - different.length, found.length),
    accuracy:
      labelled.length === 0
        ? undefined
        : { privately: right(({ privateClass }) => privateClass), plainly: right(({ plainClass }) => plainClass) },
    largestError: found.reduce((most, { error }) => Math.max(most, error), 0),
    meanError: found.reduce((sum, { error }) => sum + error, 0) / found.length,
    different: different.map(({ index, label, privately, plainly, alarm }) => ({
      index,
      label,
      privately,
      plainly,
      alarm,
    })),
  };
}

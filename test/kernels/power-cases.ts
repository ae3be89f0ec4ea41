/** Random calls of the kernels of powers of two: of `exponential`, and of `decays`. */
import fc from "fast-check";
import { negativePowers } from "../../ir/share/tables.js";
import type { Kernels, PowerTable, Work } from "../../runtime/kernels/interface.js";
import type { Layout } from "./layout.js";

type Case = (at: Layout) => (kernels: Kernels) => Work;

function decaysOf(at: Layout) {
  const [tableFraction, bits, count] = [at.integer(12, 13), at.integer(1, 30), at.integer(1, 3)];
  const each = (make: () => bigint) => BigInt64Array.from({ length: count }, make);
  const most = 2n ** BigInt(62 - bits);
  const rates = each(() => at.draw(fc.bigInt({ min: 0n, max: (most < 2n ** 53n ? most : 2n ** 53n) - 1n })));
  const coefficients = each(() => at.draw(fc.bigInt({ min: -(2n ** 32n), max: 2n ** 32n })));
  const buckets = Int32Array.from({ length: count }, () => at.integer(Math.max(0, bits - 4), bits - 1));
  const table = at.table(negativePowers(tableFraction));
  const [fraction, lanes] = [at.integer(0, 127), at.integer(1, 2)];
  const words = buckets.reduce((sum, bucket) => sum + 2 ** (bits - bucket), 0);
  return { words, terms: { table, tableFraction, bits, rates, coefficients, buckets, fraction, lanes } };
}

function powerOf(at: Layout): PowerTable {
  const tableFraction = at.integer(1, 8);
  const fraction = at.integer(1, tableFraction);
  const cut = at.integer(fraction, fraction + 5);
  const factorFraction = at.integer(1, 30);
  return { table: at.table(negativePowers(tableFraction)), tableFraction, fraction, cut, factorFraction };
}

type Name = "powerSecrets" | "powerCombine" | "decaysSecrets" | "decaysCombine";

export const POWERS: Readonly<Record<Name, Case>> = {
  powerSecrets(at) {
    const [count, power] = [at.count(), powerOf(at)];
    const [mask1, mask2] = [at.words(count), at.words(count)];
    const to = at.result("words", count, mask1, mask2);
    return (kernels) => kernels.powerSecrets(to, mask1, mask2, power, count);
  },
  powerCombine(at) {
    const [count, power] = [at.count(), powerOf(at)];
    const [m, share] = [at.words(count), at.words(count)];
    const to = at.result("words", count, m, share);
    return (kernels) => kernels.powerCombine(to, m, share, power, count);
  },
  decaysSecrets(at) {
    const [count, { words, terms }] = [at.count(), decaysOf(at)];
    const stride = count + at.integer(0, 3);
    const [mask1, mask2, to] = [at.words(count), at.words(count), at.words(words * terms.lanes * stride)];
    return (kernels) => kernels.decaysSecrets(to, stride, mask1, mask2, terms, count);
  },
  decaysCombine(at) {
    const [count, { words, terms }] = [at.count(), decaysOf(at)];
    const stride = count + at.integer(0, 3);
    const [m, shares] = [at.words(count), at.words(words * terms.lanes * stride)];
    const to = at.result("words", count, m);
    const whole = { ...terms, ring: at.integer(1, 128), drop: at.integer(0, 64) };
    return (kernels) => kernels.decaysCombine(to, m, shares, stride, whole, count);
  },
};

// Fused kernels of `widen`, of bits times words, and of the exponential. Included by body.hpp.

void widen_secrets(const Call& call) {
  const size_t count = call.size(5);
  const int ring = call.small(4, 2, 63);
  uint64_t *carry = call.words(0, count), *top = call.words(1, count);
  const uint64_t *mask1 = call.words(2, count), *mask2 = call.words(3, count);
  const uint64_t low = low_bits(ring);
  each(count, 32, [=](size_t i) {
    const uint64_t sum = (mask1[i] & low) + (mask2[i] & low);
    carry[i] = sum >> ring;
    top[i] = (sum >> (ring - 1)) & 1;
  });
}

void widen_share(const Call& call) {
  const size_t count = call.size(6);
  const int ring = call.small(5, 2, 64);
  uint64_t* to = call.words(0, count);
  const uint64_t *m = call.words(1, count), *carry = call.words(2, count);
  const uint64_t *top = call.words(3, count), *random = call.words(4, count);
  const uint64_t bias = 1ull << (ring - 2);
  each(count, 40, [=](size_t i) {
    const uint64_t most = ((m[i] + bias) >> (ring - 1)) & 1;
    to[i] = carry[i] + (top[i] & (most - 1)) + random[i];
  });
}

void widen_join(const Call& call) {
  const size_t count = call.size(5);
  const int ring = call.small(3, 2, 63);
  uint64_t* to = call.words(0, count);
  const uint64_t *a = call.words(1, count), *high = call.words(2, count);
  const uint64_t bias = call.small(4, 0, 1) != 0 ? 1ull << (ring - 2) : 0, low = low_bits(ring);
  each(count, 24, [=](size_t i) { to[i] = ((a[i] + bias) & low) + (high[i] << ring) - bias; });
}

void times_bit(const Call& call) {
  const size_t count = call.size(7);
  const bool first = call.small(6, 0, 1) != 0;
  uint64_t* to = call.words(0, count);
  const uint8_t* b = call.bytes(1, count);
  const uint64_t *x = call.words(2, count), *mask = call.words(3, count);
  const uint64_t *share = call.words(4, count), *product = call.words(5, count);
  const uint64_t own = first ? ~0ull : 0;  // whether x itself counts
  each(count, 41, [=](size_t i) {
    const uint64_t chosen = 0 - static_cast<uint64_t>(b[i]);  // all ones where the bit is set
    const uint64_t value = x[i] * share[i] - product[i];
    to[i] = ((value ^ chosen) - chosen) + (((x[i] & own) - mask[i]) & chosen);
  });
}

void to_arithmetic(const Call& call) {
  const size_t count = call.size(4);
  const uint64_t first = static_cast<uint64_t>(call.small(3, 0, 1));
  uint64_t* to = call.words(0, count);
  const uint8_t* b = call.bytes(1, count);
  const uint64_t* share = call.words(2, count);
  each(count, 17, [=](size_t i) {
    const uint64_t bit = b[i];
    to[i] = (1 - 2 * bit) * share[i] + bit * first;
  });
}

// How a word reads the table of powers.
struct Power {
  const int32_t* table;
  int step;      // a word's fraction to the table's
  int fraction;  // fractional bits of the word
  uint64_t low;  // the bits that are read
  int base;      // 30 − fractional bits of the factor
};

// Reads table, tableFraction, fraction, cut, factorFraction from number `index` on.
Power power_at(const Call& call, size_t index) {
  const int table_fraction = call.small(index + 1, 0, 30), fraction = call.small(index + 2, 0, table_fraction);
  const int cut = call.small(index + 3, fraction, fraction + 5), factor = call.small(index + 4, 0, 30);
  return {call.integers(index, size_t{1} << table_fraction), table_fraction - fraction, fraction, low_bits(cut),
          30 - factor};
}

void power_secrets(const Call& call) {
  const size_t count = call.size(8);
  const Power power = power_at(call, 3);
  uint64_t* to = call.words(0, count);
  const uint64_t *mask1 = call.words(1, count), *mask2 = call.words(2, count);
  const uint64_t parts = low_bits(power.fraction);
  each(count, 64, [=](size_t i) {
    const uint64_t low = (mask1[i] + mask2[i]) & power.low, part = low & parts;
    const int whole = static_cast<int>(low >> power.fraction);
    const uint64_t entry = static_cast<uint32_t>(power.table[((0 - part) & parts) << power.step]);
    // Entry 0 is 1 where the others are half of what is wanted; 31 bits more, so that every shift is to the right.
    const uint64_t value = (entry << 31) << (part != 0 ? 1 : 0);
    const int shift = power.base - whole + 31;
    to[i] = (value + ((1ull << shift) >> 1)) >> shift;
  });
}

void power_combine(const Call& call) {
  const size_t count = call.size(8);
  const Power power = power_at(call, 3);
  uint64_t* to = call.words(0, count);
  const uint64_t *m = call.words(1, count), *share = call.words(2, count);
  const uint64_t parts = low_bits(power.fraction);
  each(count, 64, [=](size_t i) {
    const uint64_t low = m[i] & power.low;
    const int shift = power.base + static_cast<int>(low >> power.fraction);
    const uint64_t entry = static_cast<uint32_t>(power.table[(low & parts) << power.step]);
    to[i] = ((entry + ((1ull << shift) >> 1)) >> shift) * share[i];
  });
}

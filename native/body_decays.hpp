// Fused kernels of sums of exponentials. Included by body.hpp.
//
// Everything is integer and exact, as in the twins (portable-decays.ts): P1, P2 and every tier compute the same powers.

using Long = unsigned __int128;

constexpr int RATE_FRACTION = 48;
constexpr uint64_t LOW_EXPONENT = (1ull << RATE_FRACTION) - 1;
constexpr uint64_t LN2 = 744261118;  // ln 2 at 30 fractional bits

// A term as the lists give it.
struct Decay {
  uint64_t rate;
  uint64_t size;  // of the coefficient
  bool negative;
  int bucket;
  size_t words;
};

struct Decays {
  const int32_t* table;
  int step;  // an index of 12 bits to the table's
  int bits;
  int fraction;
  size_t lanes;
  size_t words;
  Decay terms[64];
  size_t count;

  // 2^-(e / 2^48) at 30 fractional bits.
  uint64_t power(uint64_t e) const {
    const uint64_t entry = static_cast<uint32_t>(table[(e >> 36) << step]), rest = (e >> 16) & 0xfffff;
    return entry - ((((entry * rest) >> 20) * LN2) >> 42);
  }
};

uint64_t pair_at(const std::vector<int32_t>& list, size_t i) {
  return static_cast<uint32_t>(list[2 * i]) | static_cast<uint64_t>(static_cast<uint32_t>(list[2 * i + 1])) << 32;
}

// Reads table, tableFraction, bits, fraction, lanes from number `index` on, and the three lists.
Decays decays_at(const Call& call, size_t index) {
  const int table_fraction = call.small(index + 1, 12, 30), bits = call.small(index + 2, 1, 30);
  Decays all{call.integers(index, size_t{1} << table_fraction), table_fraction - 12, bits,
             call.small(index + 3, 0, 127), static_cast<size_t>(call.small(index + 4, 1, 2)), 0, {}, 0};
  all.count = call.list(2).size();
  const bool fits = all.count <= 64 && call.list(0).size() == 2 * all.count && call.list(1).size() == 2 * all.count;
  if (!fits) throw std::out_of_range("decays have up to 64 terms, each with a rate, a coefficient and a bucket");
  for (size_t t = 0; t < all.count; t++) {
    const int bucket = call.list(2)[t];
    const uint64_t rate = pair_at(call.list(0), t), coefficient = pair_at(call.list(1), t);
    const bool negative = coefficient >> 63 != 0;
    const uint64_t size = negative ? 0 - coefficient : coefficient;
    const bool sound = bucket >= 0 && bucket < bits && bits - bucket <= 8 && rate >> 53 == 0 &&
                       static_cast<Long>(rate) << bits < static_cast<Long>(1) << 62 && size <= 1ull << 32;
    if (!sound) throw std::out_of_range("a term of decays is out of range");
    all.terms[t] = {rate, size, negative, bucket, size_t{1} << (bits - bucket)};
    all.words += all.terms[t].words;
  }
  return all;
}

// value · 2^shift, rounded to the nearest.
Long scaled(uint64_t value, int shift) {
  return shift >= 0 ? (shift < 128 ? static_cast<Long>(value) << shift : 0)
                    : (static_cast<Long>(value) + (static_cast<Long>(1) << (-shift - 1))) >> -shift;
}

// The words that rows of `stride` span.
size_t rows_span(const Decays& all, size_t stride, size_t count) {
  return count == 0 || all.words == 0 ? 0 : product_of(all.words * all.lanes - 1, stride) + count;
}

void decays_secrets(const Call& call) {
  const size_t stride = call.size(1), count = call.size(9);
  const Decays all = decays_at(call, 4);
  uint64_t* to = call.words(0, rows_span(all, stride, count));
  const uint64_t *mask1 = call.words(2, count), *mask2 = call.words(3, count);
  spread(count, 16 * all.words * all.lanes + 16, [=, &all](size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++) {
      const uint64_t word = (mask1[i] + mask2[i]) & low_bits(all.bits);
      uint64_t* out = to + i;
      for (size_t t = 0; t < all.count; t++) {
        const Decay& term = all.terms[t];
        const uint64_t digit = word >> term.bucket, exponent = term.rate * (word & low_bits(term.bucket));
        const int whole = static_cast<int>((exponent + LOW_EXPONENT) >> RATE_FRACTION);
        const Long secret = scaled(all.power((0 - exponent) & LOW_EXPONENT), whole + all.fraction - 30);
        for (size_t j = 0; j < term.words; j++) {
          const Long value = j == digit ? secret : 0;
          *out = static_cast<uint64_t>(value);
          out += stride;
          if (all.lanes == 2) {
            *out = static_cast<uint64_t>(value >> 64);
            out += stride;
          }
        }
      }
    }
  });
}

void decays_combine(const Call& call) {
  const size_t stride = call.size(3), count = call.size(11);
  const Decays all = decays_at(call, 4);
  const int ring = call.small(9, 1, 128), drop = call.small(10, 0, 64);
  uint64_t* to = call.words(0, count);
  const uint64_t *m = call.words(1, count), *words = call.words(2, rows_span(all, stride, count));
  const Long half = drop == 0 ? 0 : static_cast<Long>(1) << (drop - 1);
  const Long low = ring == 128 ? ~static_cast<Long>(0) : (static_cast<Long>(1) << ring) - 1;
  spread(count, 16 * all.words * all.lanes + 16, [=, &all](size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++) {
      const uint64_t word = m[i] & low_bits(all.bits);
      const uint64_t* in = words + i;
      Long sum = half;
      for (size_t t = 0; t < all.count; t++) {
        const Decay& term = all.terms[t];
        const uint64_t digit = word >> term.bucket, rest = word & low_bits(term.bucket);
        for (size_t j = 0; j < term.words; j++) {
          const uint64_t exponent = term.rate * (rest + (((digit - j) & (term.words - 1)) << term.bucket));
          const int shift = all.fraction - 60 - static_cast<int>(exponent >> RATE_FRACTION);
          const Long factor = shift < -63 ? 0 : scaled(all.power(exponent & LOW_EXPONENT) * term.size, shift);
          Long share = *in;
          in += stride;
          if (all.lanes == 2) {
            share += static_cast<Long>(*in) << 64;
            in += stride;
          }
          sum += term.negative ? 0 - factor * share : factor * share;
        }
      }
      to[i] = static_cast<uint64_t>((sum & low) >> drop);
    }
  });
}

// Fused kernels of trigonometric series and of the coarse maximum's counters. Included by body.hpp.
//
// Everything is integer and exact, so that P1, P2 and every tier compute the same public factors. P0 looks up its own
// masks in the cosine table: another program on P0's machine might observe which cache lines; no other party can.

// The cosine table, a quarter of a period, and how a word reads it: a phase is an angle in units of 2^-32 turns.
struct Angle {
  const int32_t* quarter;
  int period;  // bits of the table's period
  int step;    // a word's scale to a phase's
  bool turns;  // whether a phase may lie between two entries

  uint32_t of(uint64_t word) const { return static_cast<uint32_t>(word << step); }
};

// Reads table, tableAngle, angle from number `index` on.
Angle angle_at(const Call& call, size_t index) {
  const int period = call.small(index + 1, 2, 30), angle = call.small(index + 2, 2, period < 12 ? period : 32);
  return {call.integers(index, (size_t{1} << (period - 2)) + 1), period, 32 - angle, angle > period};
}

// to[i] = cos of the entry nearest to frequency · phases[i] − shift, at 30 bits.
void cosines(const Angle& angle, const uint32_t* phases, uint32_t frequency, uint32_t shift, size_t count,
             int32_t* to) {
  const uint32_t quadrant = 1u << (angle.period - 2);
  const int rest_bits = 32 - angle.period;
  const uint32_t back = shift - (1u << (rest_bits - 1));  // rounds to the nearest entry
  size_t i = 0;
#if PUMAC_AVX2
  const __m256i factor = _mm256_set1_epi32(static_cast<int>(frequency));
  const __m256i backs = _mm256_set1_epi32(static_cast<int>(back));
  const __m256i size = _mm256_set1_epi32(static_cast<int>(quadrant));
  const __m256i within = _mm256_set1_epi32(static_cast<int>(quadrant - 1));
  const __m256i one = _mm256_set1_epi32(1), zero = _mm256_setzero_si256();
  const __m128i rests = _mm_cvtsi32_si128(rest_bits), bits = _mm_cvtsi32_si128(angle.period - 2);
  for (; i + 8 <= count; i += 8) {
    const __m256i phase = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(phases + i));
    const __m256i at = _mm256_srl_epi32(_mm256_sub_epi32(_mm256_mullo_epi32(phase, factor), backs), rests);
    const __m256i number = _mm256_srl_epi32(at, bits), rest = _mm256_and_si256(at, within);
    const __m256i odd = _mm256_sub_epi32(zero, _mm256_and_si256(number, one));
    const __m256i index = _mm256_blendv_epi8(rest, _mm256_sub_epi32(size, rest), odd);
    const __m256i value = _mm256_i32gather_epi32(angle.quarter, index, 4);
    const __m256i turned = _mm256_and_si256(_mm256_srli_epi32(_mm256_add_epi32(number, one), 1), one);
    const __m256i sign = _mm256_sub_epi32(zero, turned);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm256_sub_epi32(_mm256_xor_si256(value, sign), sign));
  }
#endif
  for (; i < count; i++) {
    const uint32_t at = (phases[i] * frequency - back) >> rest_bits;
    const uint32_t number = at >> (angle.period - 2), rest = at & (quadrant - 1);
    const uint32_t odd = 0 - (number & 1), index = (rest & ~odd) | ((quadrant - rest) & odd);
    const int32_t sign = -static_cast<int32_t>(((number + 1) >> 1) & 1);
    to[i] = (angle.quarter[index] ^ sign) - sign;
  }
}

// Cosine and sine of frequency · phases[i] at 30 bits: the nearest entry's, turned by what is left of the phase.
void wave(const Angle& angle, const uint32_t* phases, uint32_t frequency, size_t count, int32_t* cosine,
          int32_t* sine) {
  cosines(angle, phases, frequency, 0, count, cosine);
  cosines(angle, phases, frequency, 1u << 30, count, sine);
  if (!angle.turns) return;
  constexpr int64_t TURN = 411775;  // round(2π · 2^16)
  const int rest_bits = 32 - angle.period;
  const uint32_t half = 1u << (rest_bits - 1), low = (1u << rest_bits) - 1;
  INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    const int64_t left = static_cast<int64_t>((phases[i] * frequency + half) & low) - half;
    const int64_t turn = (left * TURN) >> 8, x = cosine[i], y = sine[i];
    cosine[i] = static_cast<int32_t>(x - ((y * turn) >> 40));
    sine[i] = static_cast<int32_t>(y + ((x * turn) >> 40));
  }
}

// The frequencies of a series and the bits by which their factors are shorter: lists 0 and 1.
struct Frequencies {
  const int32_t* values;
  const int32_t* drops;
  size_t count;
};

Frequencies frequencies_of(const Call& call) {
  const size_t count = call.list(0).size();
  if (call.list(1).size() != count) throw std::out_of_range("a series has as many drops as frequencies");
  return {call.list(0).data(), call.list(1).data(), count};
}

void series_secrets(const Call& call) {
  const size_t stride = call.size(1), count = call.size(8);
  const Angle angle = angle_at(call, 4);
  const Frequencies terms = frequencies_of(call);
  const int fraction = call.small(7, 0, 30);
  if (terms.count == 0 || count == 0) return;
  for (size_t n = 0; n < terms.count; n++) {
    if (terms.drops[n] < 0 || terms.drops[n] > fraction) throw std::out_of_range("a factor lost all its bits");
  }
  uint64_t* to = call.words(0, product_of(2 * terms.count - 1, stride) + count);
  const uint64_t *mask1 = call.words(2, count), *mask2 = call.words(3, count);
  spread(count, 32 * terms.count, [=](size_t begin, size_t end) {
    uint32_t phases[CHUNK];
    int32_t values[2][CHUNK];
    for (size_t from = begin; from < end; from += CHUNK) {
      const size_t size = std::min(CHUNK, end - from);
      for (size_t i = 0; i < size; i++) phases[i] = angle.of(mask1[from + i] + mask2[from + i]);
      for (size_t n = 0; n < terms.count; n++) {
        wave(angle, phases, static_cast<uint32_t>(terms.values[n]), size, values[0], values[1]);
        const int shift = 30 - (fraction - terms.drops[n]);
        const int32_t rounding = shift == 0 ? 0 : int32_t{1} << (shift - 1);
        for (size_t odd = 0; odd < 2; odd++) {
          uint64_t* out = to + (2 * n + odd) * stride + from;
          const int32_t* value = values[odd];
          for (size_t i = 0; i < size; i++) {
            out[i] = static_cast<uint64_t>(static_cast<int64_t>((value[i] + rounding) >> shift));
          }
        }
      }
    }
  });
}

// (x + half) >> shift for |x| < 2^63 − half, as a logical shift, which every vector unit has.
struct Rounding {
  uint64_t lift;
  uint64_t drop;
  int shift;

  explicit Rounding(int shift)
      : lift((1ull << 63) + (1ull << (shift - 1))), drop((1ull << 63) >> shift), shift(shift) {}

  uint64_t of(int64_t x) const { return ((static_cast<uint64_t>(x) + lift) >> shift) - drop; }
};

// What a series is made of, for the party that knows m.
struct Terms {
  const uint64_t* shares;
  const uint64_t* products;  // null where there is no factor
  const uint64_t* factor;
  size_t stride;
};

// sum[i] += the two terms of frequency number n, for elements [from, from + size).
void add_frequency(const Terms& terms, size_t n, size_t from, size_t size, const int32_t* cosine, const int32_t* sine,
                   int64_t c, int64_t s, const Rounding& rounding, int drop, uint64_t* sum) {
  const uint64_t* even = terms.shares + 2 * n * terms.stride + from;
  const uint64_t* odd = even + terms.stride;
  if (terms.factor == nullptr) {
    for (size_t i = 0; i < size; i++) {
      const int64_t x = cosine[i], y = sine[i];
      sum[i] += (rounding.of(c * x + s * y) * even[i] + rounding.of(c * y - s * x) * odd[i]) << drop;
    }
    return;
  }
  const uint64_t* even_product = terms.products + 2 * n * terms.stride + from;
  const uint64_t* odd_product = even_product + terms.stride;
  const uint64_t* factor = terms.factor + from;
  for (size_t i = 0; i < size; i++) {
    const int64_t x = cosine[i], y = sine[i];
    sum[i] += (rounding.of(c * x + s * y) * (factor[i] * even[i] - even_product[i]) +
               rounding.of(c * y - s * x) * (factor[i] * odd[i] - odd_product[i]))
              << drop;
  }
}

// The series of m over the terms; lists 2 and 3 are the coefficients; `index` is where table, tableAngle, angle,
// fraction, count are among the numbers.
void combine(const Call& call, const uint64_t* m, const Terms& terms, size_t index) {
  const Angle angle = angle_at(call, index);
  const Rounding rounding(54 - call.small(index + 3, 0, 24));
  const size_t count = call.size(index + 4);
  const Frequencies waves = frequencies_of(call);
  const int32_t *c = call.list(2).data(), *s = call.list(3).data();
  uint64_t* to = call.words(0, count);
  spread(count, 48 * waves.count, [=](size_t begin, size_t end) {
    uint32_t phases[CHUNK];
    int32_t cosine[CHUNK], sine[CHUNK];
    uint64_t sum[CHUNK];
    for (size_t from = begin; from < end; from += CHUNK) {
      const size_t size = std::min(CHUNK, end - from);
      for (size_t i = 0; i < size; i++) phases[i] = angle.of(m[from + i]);
      std::fill_n(sum, size, 0);
      for (size_t n = 0; n < waves.count; n++) {
        wave(angle, phases, static_cast<uint32_t>(waves.values[n]), size, cosine, sine);
        add_frequency(terms, n, from, size, cosine, sine, c[n], s[n], rounding, waves.drops[n] & 63, sum);
      }
      std::memcpy(to + from, sum, size * sizeof(uint64_t));
    }
  });
}

// The words that the terms of a series span.
size_t terms_span(const Call& call, size_t stride, size_t count) {
  const size_t terms = call.list(0).size();
  const bool fits = terms > 0 && call.list(2).size() == terms && call.list(3).size() == terms;
  if (!fits) throw std::out_of_range("a series has a cosine and a sine for each frequency");
  return count == 0 ? 0 : product_of(2 * terms - 1, stride) + count;
}

void series_combine(const Call& call) {
  const size_t stride = call.size(3), count = call.size(8), span = terms_span(call, stride, count);
  combine(call, call.words(1, count), {call.words(2, span), nullptr, nullptr, stride}, 4);
}

void series_times(const Call& call) {
  const size_t stride = call.size(5), count = call.size(10), span = terms_span(call, stride, count);
  combine(call, call.words(1, count), {call.words(3, span), call.words(4, span), call.words(2, count), stride}, 6);
}

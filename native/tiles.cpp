// The micro-kernels of the matrix product, one for each tier.
//
// AVX-512 has a 64-bit multiply (`vpmullq`). AVX2 has none: with a = a₀ + 2^32·a₁ and b likewise,
// a·b ≡ a₀b₀ + 2^32·(a₀b₁ + a₁b₀) mod 2^64, so `pmuludq` gives the first product and one `pmulld` of a with b's halves
// exchanged gives both cross products at once; the two are summed apart, and joined once for the whole depth. In a
// ring of at most 32 bits one 32-bit multiply does.
//
// The additions are written in assembly because g++ 12 otherwise copies every accumulator at each step (a quarter of
// the speed). PUMAC_PLAIN_INTRINSICS turns that off, for compilers and emulators without it.
#include "matmul.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pumac {

namespace {

template <class T>
void tile_portable(size_t depth, const T* a, const T* b, T* out) {
  T sum[4][4] = {};
  for (size_t p = 0; p < depth; p++, a += 4, b += 4) {
    for (int i = 0; i < 4; i++) {
      for (int j = 0; j < 4; j++) sum[i][j] += a[i] * b[j];
    }
  }
  for (int i = 0; i < 4; i++) {
    for (int j = 0; j < 4; j++) out[i * 4 + j] = sum[i][j];
  }
}

constexpr Tile<uint64_t> PORTABLE{4, 4, tile_portable<uint64_t>};
constexpr Tile<uint32_t> PORTABLE_NARROW{4, 4, tile_portable<uint32_t>};

#if defined(__x86_64__)

#if defined(__GNUC__) && !defined(__clang__) && !defined(PUMAC_PLAIN_INTRINSICS)
#define ADD64_256(sum, term) asm("vpaddq %1, %0, %0" : "+x"(sum) : "x"(term))
#define ADD32_256(sum, term) asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(term))
#define ADD64_512(sum, term) asm("vpaddq %1, %0, %0" : "+v"(sum) : "v"(term))
#define ADD32_512(sum, term) asm("vpaddd %1, %0, %0" : "+v"(sum) : "v"(term))
#else
#define ADD64_256(sum, term) (sum) = _mm256_add_epi64((sum), (term))
#define ADD32_256(sum, term) (sum) = _mm256_add_epi32((sum), (term))
#define ADD64_512(sum, term) (sum) = _mm512_add_epi64((sum), (term))
#define ADD32_512(sum, term) (sum) = _mm512_add_epi32((sum), (term))
#endif

#define AVX2_ROW(i)                                            \
  x = _mm256_set1_epi64x(static_cast<long long>(a[i]));        \
  low = _mm256_mul_epu32(x, y);                                \
  cross = _mm256_mullo_epi32(x, swapped);                      \
  ADD64_256(low##i, low);                                      \
  ADD32_256(cross##i, cross);

#define AVX2_STORE(i)                                                                                        \
  joined = _mm256_add_epi64(_mm256_slli_epi64(cross##i, 32), _mm256_and_si256(cross##i, high));              \
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 4 * (i)), _mm256_add_epi64(low##i, joined));

// 6 × 4: twelve sums, one vector of B and its exchange, one broadcast of A: fifteen of sixteen registers.
__attribute__((target("avx2"), noinline)) void tile_avx2(size_t depth, const uint64_t* a, const uint64_t* b,
                                                         uint64_t* out) {
  const __m256i zero = _mm256_setzero_si256();
  __m256i low0 = zero, low1 = zero, low2 = zero, low3 = zero, low4 = zero, low5 = zero;
  __m256i cross0 = zero, cross1 = zero, cross2 = zero, cross3 = zero, cross4 = zero, cross5 = zero;
  __m256i x, low, cross, joined;
  for (size_t p = 0; p < depth; p++, a += 6, b += 4) {
    const __m256i y = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
    const __m256i swapped = _mm256_shuffle_epi32(y, 0xb1);
    AVX2_ROW(0) AVX2_ROW(1) AVX2_ROW(2) AVX2_ROW(3) AVX2_ROW(4) AVX2_ROW(5)
  }
  const __m256i high = _mm256_set1_epi64x(static_cast<long long>(0xffffffff00000000ull));
  AVX2_STORE(0) AVX2_STORE(1) AVX2_STORE(2) AVX2_STORE(3) AVX2_STORE(4) AVX2_STORE(5)
}

constexpr Tile<uint64_t> AVX2{6, 4, tile_avx2};

#define AVX2_NARROW_ROW(i)                              \
  x = _mm256_set1_epi32(static_cast<int>(a[i]));        \
  left = _mm256_mullo_epi32(x, y0);                     \
  right = _mm256_mullo_epi32(x, y1);                    \
  ADD32_256(left##i, left);                             \
  ADD32_256(right##i, right);

#define AVX2_NARROW_STORE(i)                                                   \
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 16 * (i)), left##i);    \
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 16 * (i) + 8), right##i);

// 6 × 16 of 32 bits: `pmulld` alone.
__attribute__((target("avx2"), noinline)) void tile_narrow_avx2(size_t depth, const uint32_t* a, const uint32_t* b,
                                                                uint32_t* out) {
  const __m256i zero = _mm256_setzero_si256();
  __m256i left0 = zero, left1 = zero, left2 = zero, left3 = zero, left4 = zero, left5 = zero;
  __m256i right0 = zero, right1 = zero, right2 = zero, right3 = zero, right4 = zero, right5 = zero;
  __m256i x, left, right;
  for (size_t p = 0; p < depth; p++, a += 6, b += 16) {
    const __m256i y0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
    const __m256i y1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + 8));
    AVX2_NARROW_ROW(0) AVX2_NARROW_ROW(1) AVX2_NARROW_ROW(2)
    AVX2_NARROW_ROW(3) AVX2_NARROW_ROW(4) AVX2_NARROW_ROW(5)
  }
  AVX2_NARROW_STORE(0) AVX2_NARROW_STORE(1) AVX2_NARROW_STORE(2)
  AVX2_NARROW_STORE(3) AVX2_NARROW_STORE(4) AVX2_NARROW_STORE(5)
}

constexpr Tile<uint32_t> AVX2_NARROW{6, 16, tile_narrow_avx2};

#define AVX512_ROW(i)                                       \
  x = _mm512_set1_epi64(static_cast<long long>(a[i]));      \
  left = _mm512_mullo_epi64(x, y0);                         \
  right = _mm512_mullo_epi64(x, y1);                        \
  ADD64_512(left##i, left);                                 \
  ADD64_512(right##i, right);

#define AVX512_STORE(i)                          \
  _mm512_storeu_si512(out + 16 * (i), left##i);  \
  _mm512_storeu_si512(out + 16 * (i) + 8, right##i);

// 8 × 16: sixteen sums, two vectors of B, one broadcast of A.
__attribute__((target("avx512f,avx512dq"), noinline)) void tile_avx512(size_t depth, const uint64_t* a,
                                                                       const uint64_t* b, uint64_t* out) {
  const __m512i zero = _mm512_setzero_si512();
  __m512i left0 = zero, left1 = zero, left2 = zero, left3 = zero;
  __m512i left4 = zero, left5 = zero, left6 = zero, left7 = zero;
  __m512i right0 = zero, right1 = zero, right2 = zero, right3 = zero;
  __m512i right4 = zero, right5 = zero, right6 = zero, right7 = zero;
  __m512i x, left, right;
  for (size_t p = 0; p < depth; p++, a += 8, b += 16) {
    const __m512i y0 = _mm512_loadu_si512(b);
    const __m512i y1 = _mm512_loadu_si512(b + 8);
    AVX512_ROW(0) AVX512_ROW(1) AVX512_ROW(2) AVX512_ROW(3)
    AVX512_ROW(4) AVX512_ROW(5) AVX512_ROW(6) AVX512_ROW(7)
  }
  AVX512_STORE(0) AVX512_STORE(1) AVX512_STORE(2) AVX512_STORE(3)
  AVX512_STORE(4) AVX512_STORE(5) AVX512_STORE(6) AVX512_STORE(7)
}

constexpr Tile<uint64_t> AVX512{8, 16, tile_avx512};

#if defined(__GNUC__) && !defined(__clang__) && !defined(PUMAC_PLAIN_INTRINSICS)
#define ADD_PRODUCT52(sum, x, y) asm("vpmadd52luq %2, %1, %0" : "+v"(sum) : "v"(x), "v"(y))
#else
#define ADD_PRODUCT52(sum, x, y) (sum) = _mm512_madd52lo_epu64((sum), (x), (y))
#endif

#define AVX512_ROW52(i)                                \
  x = _mm512_set1_epi64(static_cast<long long>(a[i])); \
  ADD_PRODUCT52(left##i, x, y0);                       \
  ADD_PRODUCT52(right##i, x, y1);

// 8 × 16 for rings of at most 52 bits: `vpmadd52luq` multiplies the low 52 bits and adds those of the product.
__attribute__((target("avx512f,avx512dq,avx512ifma"), noinline)) void tile_avx512_ring52(size_t depth,
                                                                                         const uint64_t* a,
                                                                                         const uint64_t* b,
                                                                                         uint64_t* out) {
  const __m512i zero = _mm512_setzero_si512();
  __m512i left0 = zero, left1 = zero, left2 = zero, left3 = zero;
  __m512i left4 = zero, left5 = zero, left6 = zero, left7 = zero;
  __m512i right0 = zero, right1 = zero, right2 = zero, right3 = zero;
  __m512i right4 = zero, right5 = zero, right6 = zero, right7 = zero;
  __m512i x;
  for (size_t p = 0; p < depth; p++, a += 8, b += 16) {
    const __m512i y0 = _mm512_loadu_si512(b);
    const __m512i y1 = _mm512_loadu_si512(b + 8);
    AVX512_ROW52(0) AVX512_ROW52(1) AVX512_ROW52(2) AVX512_ROW52(3)
    AVX512_ROW52(4) AVX512_ROW52(5) AVX512_ROW52(6) AVX512_ROW52(7)
  }
  AVX512_STORE(0) AVX512_STORE(1) AVX512_STORE(2) AVX512_STORE(3)
  AVX512_STORE(4) AVX512_STORE(5) AVX512_STORE(6) AVX512_STORE(7)
}

constexpr Tile<uint64_t> AVX512_RING52{8, 16, tile_avx512_ring52};

#define AVX512_NARROW_ROW(i)                           \
  x = _mm512_set1_epi32(static_cast<int>(a[i]));       \
  term = _mm512_mullo_epi32(x, y);                     \
  ADD32_512(sum##i, term);

#define AVX512_NARROW_STORE(i) _mm512_storeu_si512(out + 16 * (i), sum##i);

// 12 × 16 of 32 bits.
__attribute__((target("avx512f,avx512dq"), noinline)) void tile_narrow_avx512(size_t depth, const uint32_t* a,
                                                                              const uint32_t* b, uint32_t* out) {
  const __m512i zero = _mm512_setzero_si512();
  __m512i sum0 = zero, sum1 = zero, sum2 = zero, sum3 = zero, sum4 = zero, sum5 = zero;
  __m512i sum6 = zero, sum7 = zero, sum8 = zero, sum9 = zero, sum10 = zero, sum11 = zero;
  __m512i x, term;
  for (size_t p = 0; p < depth; p++, a += 12, b += 16) {
    const __m512i y = _mm512_loadu_si512(b);
    AVX512_NARROW_ROW(0) AVX512_NARROW_ROW(1) AVX512_NARROW_ROW(2) AVX512_NARROW_ROW(3)
    AVX512_NARROW_ROW(4) AVX512_NARROW_ROW(5) AVX512_NARROW_ROW(6) AVX512_NARROW_ROW(7)
    AVX512_NARROW_ROW(8) AVX512_NARROW_ROW(9) AVX512_NARROW_ROW(10) AVX512_NARROW_ROW(11)
  }
  AVX512_NARROW_STORE(0) AVX512_NARROW_STORE(1) AVX512_NARROW_STORE(2) AVX512_NARROW_STORE(3)
  AVX512_NARROW_STORE(4) AVX512_NARROW_STORE(5) AVX512_NARROW_STORE(6) AVX512_NARROW_STORE(7)
  AVX512_NARROW_STORE(8) AVX512_NARROW_STORE(9) AVX512_NARROW_STORE(10) AVX512_NARROW_STORE(11)
}

constexpr Tile<uint32_t> AVX512_NARROW{12, 16, tile_narrow_avx512};

#endif

// Four rows of B at a time, so that c is read and written a quarter as often. Written once and compiled for each tier;
// compilers turn it into vector code.
#define ROW_STREAM_BODY                                                                                \
  uint64_t* __restrict out = c;                                                                        \
  size_t p = 0;                                                                                        \
  for (; p + 4 <= depth; p += 4) {                                                                     \
    const uint64_t s0 = scales[p], s1 = scales[p + 1], s2 = scales[p + 2], s3 = scales[p + 3];         \
    const uint64_t *b0 = b + p * row, *b1 = b0 + row, *b2 = b1 + row, *b3 = b2 + row;                  \
    for (size_t j = 0; j < count; j++) out[j] += s0 * b0[j] + s1 * b1[j] + s2 * b2[j] + s3 * b3[j];    \
  }                                                                                                    \
  for (; p < depth; p++) {                                                                             \
    const uint64_t s0 = scales[p];                                                                     \
    const uint64_t* b0 = b + p * row;                                                                  \
    for (size_t j = 0; j < count; j++) out[j] += s0 * b0[j];                                           \
  }

void row_stream_portable(const uint64_t* scales, const uint64_t* b, size_t row, size_t depth, size_t count,
                         uint64_t* c) {
  ROW_STREAM_BODY
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void row_stream_avx2(const uint64_t* scales, const uint64_t* b, size_t row,
                                                     size_t depth, size_t count, uint64_t* c) {
  ROW_STREAM_BODY
}

__attribute__((target("avx512f,avx512dq,avx512vl"))) void row_stream_avx512(const uint64_t* scales, const uint64_t* b,
                                                                           size_t row, size_t depth, size_t count,
                                                                           uint64_t* c) {
  ROW_STREAM_BODY
}
#endif

}  // namespace

bool is_narrow(Tier tier, int ring) {
  return ring <= 32 && !(tier == Tier::avx512 && features().ifma && features().intel);
}

#if defined(__x86_64__)
const Tile<uint64_t>& wide_tile_of(Tier tier, int ring) {
  if (tier == Tier::avx512 && ring <= 52 && features().ifma) return AVX512_RING52;
  return tier == Tier::avx512 ? AVX512 : tier == Tier::avx2 ? AVX2 : PORTABLE;
}

const Tile<uint32_t>& narrow_tile_of(Tier tier) {
  return tier == Tier::avx512 ? AVX512_NARROW : tier == Tier::avx2 ? AVX2_NARROW : PORTABLE_NARROW;
}

RowStream row_stream_of(Tier tier) {
  return tier == Tier::avx512 ? row_stream_avx512 : tier == Tier::avx2 ? row_stream_avx2 : row_stream_portable;
}
#else
const Tile<uint64_t>& wide_tile_of(Tier, int) { return PORTABLE; }
const Tile<uint32_t>& narrow_tile_of(Tier) { return PORTABLE_NARROW; }
RowStream row_stream_of(Tier) { return row_stream_portable; }
#endif

}  // namespace pumac

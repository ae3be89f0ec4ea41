// Every kernel, for one tier: plain C++ that three files compile for three instruction sets, each in a namespace and a
// region of its own (kernels_portable.cpp, kernels_avx2.cpp, kernels_avx512.cpp). Includes no standard header, because
// those must not be compiled within the region. PUMAC_AVX2 is 1 where AVX2 intrinsics may be used.
//
// A kernel reads its arguments, checks its places, and spreads its elements over the pool; the meaning of each is in
// runtime/kernels/interface.ts.

constexpr size_t CHUNK = 512;      // words handled at a time where a kernel needs scratch: 4 KiB
constexpr int WIDEST = 13;         // bits of a digit, at most
constexpr size_t GRAIN = 1 << 19;  // bytes of memory traffic that are worth waking a thread for

inline uint64_t low_bits(int bits) { return bits >= 64 ? ~0ull : (1ull << bits) - 1; }

// Calls body(begin, end) over the pool for `count` elements that cost `cost` bytes of traffic each; ranges start at
// multiples of 64 elements.
template <class F>
void spread(size_t count, size_t cost, F&& body) {
  const size_t grain = GRAIN / cost + 1;
  if (count >= 2 * grain) return parallel_ranges(count, grain, 64, body);
  if (count > 0) body(size_t{0}, count);
}

// The next loop carries nothing from one element to another: a result's place is an input's exactly or lies apart.
#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

// Calls element(i) for every element, over the pool. The copy of `element` keeps its pointers in registers; without it
// compilers reload them after every store and make no vector code.
template <class F>
void each(size_t count, size_t cost, F element) {
  spread(count, cost, [element](size_t begin, size_t end) {
    const F local = element;
    INDEPENDENT
    for (size_t i = begin; i < end; i++) local(i);
  });
}

// The inner loops of kernels that work in pieces, on pointers of their own for the same reason.
void add_into(uint64_t* to, const uint64_t* term, size_t count) {
  INDEPENDENT
  for (size_t i = 0; i < count; i++) to[i] += term[i];
}

void add_shifted(uint64_t* to, const uint64_t* term, int shift, size_t count) {
  INDEPENDENT
  for (size_t i = 0; i < count; i++) to[i] += term[i] << shift;
}

void subtract_from(uint64_t* to, const uint64_t* from, size_t count) {
  INDEPENDENT
  for (size_t i = 0; i < count; i++) to[i] = from[i] - to[i];
}

void shift_right(uint64_t* to, int shift, size_t count) {
  INDEPENDENT
  for (size_t i = 0; i < count; i++) to[i] >>= shift;
}

void xor_into(uint8_t* to, const uint8_t* term, size_t count) {
  INDEPENDENT
  for (size_t i = 0; i < count; i++) to[i] ^= term[i];
}

#include "body_packing.hpp"
#include "body_product.hpp"
#include "body_words.hpp"
#include "body_views.hpp"
#include "body_bits.hpp"
#include "body_wire.hpp"
#include "body_streams.hpp"
#include "body_fused.hpp"
#include "body_series.hpp"
#include "body_decays.hpp"
#include "body_coarse.hpp"

// The arguments are those of interface.ts in order, records flattened, the Int32Arrays last.
constexpr Kernel TABLE[] = {
    {"fillWords", "nnnn", fill_words},
    {"addStream", "nnnn", add_stream},
    {"fillBytes", "nnnn", fill_bytes},
    {"fillBits", "nnnn", fill_bits},
    {"fillHot", "nnnnn", fill_hot},
    {"dealWords", "nnnnnnn", deal_words},
    {"borrow", "nnnnn", borrow},
    {"dealBits", "nnnnn", deal_bits},
    {"dealHot", "nnnnnnnn", deal_hot},
    {"dealCoarse", "nnnnnnnnn", deal_coarse},
    {"packWords", "nnnn", pack_words},
    {"unpackWords", "nnnn", unpack_words},
    {"unpackAdd", "nnnnn", unpack_add},
    {"packBits", "nnn", pack_bits},
    {"unpackBits", "nnn", unpack_bits},
    {"unpackXor", "nnn", unpack_xor},
    {"unpackHot", "nnnn", unpack_hot},
    {"add", "nnnn", add},
    {"subtract", "nnnn", subtract},
    {"addWord", "nnwn", add_word},
    {"multiplyWord", "nnwn", multiply_word},
    {"shiftLeft", "nnnn", shift_left},
    {"rescale", "nnnnwn", rescale},
    {"multiply", "nnnnnnnnnnn", multiply},
    {"dot", "nnnnnnnnnnnn", dot},
    {"matmul", "nnnnnnnnnnnnnnnnnn", matmul},
    {"matmulMasked", "nnnnnnnnnnnnnnnnnn", matmul_masked},
    {"sumAxis", "nnnnn", sum_axis},
    {"view", "nnnnll", view},
    {"take", "nnnl", take},
    {"encode", "nnnnnn", encode},
    {"put", "nl", put},
    {"copy", "nnn", copy},
    {"zero", "nn", zero},
    {"exclusiveOr", "nnnn", exclusive_or},
    {"and", "nnnn", and_bits},
    {"complement", "nnn", complement},
    {"sumBit", "nnnnn", sum_bit},
    {"wordBit", "nnnnn", word_bit},
    {"bitWords", "nnnn", bit_words},
    {"combineBits", "nnnnnnn", combine_bits},
    {"hotLess", "nnnnnnnn", hot_less},
    {"hotWithin", "nnnnnnnnnn", hot_within},
    {"widenSecrets", "nnnnnn", widen_secrets},
    {"widenShare", "nnnnnnn", widen_share},
    {"widenJoin", "nnnnnn", widen_join},
    {"seriesSecrets", "nnnnnnnnnll", series_secrets},
    {"seriesCombine", "nnnnnnnnnllll", series_combine},
    {"seriesTimes", "nnnnnnnnnnnllll", series_times},
    {"powerSecrets", "nnnnnnnnn", power_secrets},
    {"powerCombine", "nnnnnnnnn", power_combine},
    {"decaysSecrets", "nnnnnnnnnnlll", decays_secrets},
    {"decaysCombine", "nnnnnnnnnnnnlll", decays_combine},
    {"coarseAccumulate", "nnnnnnnnnl", coarse_accumulate},
    {"suffixSum", "nnn", suffix_sum},
    {"timesBit", "nnnnnnnn", times_bit},
    {"toArithmetic", "nnnnn", to_arithmetic},
};

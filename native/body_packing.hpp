// k-bit packing, 1 ≤ k ≤ 64: what the wire carries. Element i occupies bits [i·k, (i + 1)·k), little-endian.
// Included by body.hpp, once for each tier.
//
// Eight elements are k whole bytes, so every k has its own straight-line code for a group of eight.

template <int K>
inline void pack_group(const uint64_t* in, uint8_t* out) {
  constexpr uint64_t LOW = K == 64 ? ~0ull : (1ull << (K & 63)) - 1;
  uint64_t pending = 0;
  int held = 0;  // bits of `pending`; known to the compiler once the loop is unrolled
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    const uint64_t value = in[i] & LOW;
    pending |= value << held;
    if (held + K < 64) {
      held += K;
      continue;
    }
    std::memcpy(out, &pending, 8);
    out += 8;
    pending = held == 0 ? 0 : value >> ((64 - held) & 63);
    held += K - 64;
  }
  std::memcpy(out, &pending, K % 8);
}

// Reads up to eight bytes past the group.
template <int K>
inline void unpack_group(const uint8_t* in, uint64_t* out) {
  constexpr uint64_t LOW = K == 64 ? ~0ull : (1ull << (K & 63)) - 1;
  for (int i = 0; i < 8; i++) {
    const int at = i * K, byte = at / 8, shift = at % 8;
    uint64_t value;
    std::memcpy(&value, in + byte, 8);
    value >>= shift;
    if (shift + K > 64) value |= static_cast<uint64_t>(in[byte + 8]) << ((64 - shift) & 63);
    out[i] = value & LOW;
  }
}

template <int K>
void pack_all(const uint64_t* in, size_t count, uint8_t* out) {
  const size_t groups = count / 8, rest = count % 8;
  for (size_t g = 0; g < groups; g++) pack_group<K>(in + 8 * g, out + K * g);
  if (rest == 0) return;
  uint64_t last[8] = {};
  uint8_t bytes[K];
  std::memcpy(last, in + 8 * groups, rest * 8);
  pack_group<K>(last, bytes);
  std::memcpy(out + K * groups, bytes, (rest * K + 7) / 8);
}

// The first `count` elements of a section of `bytes` bytes.
template <int K>
void unpack_all(const uint8_t* in, size_t bytes, size_t count, uint64_t* out) {
  const size_t groups = count / 8;
  size_t g = 0;
  for (; g < groups && K * g + K + 8 <= bytes; g++) unpack_group<K>(in + K * g, out + 8 * g);
  for (; 8 * g < count; g++) {
    const size_t elements = std::min<size_t>(8, count - 8 * g);
    uint8_t padded[K + 8] = {};
    uint64_t words[8];
    std::memcpy(padded, in + K * g, (elements * K + 7) / 8);
    unpack_group<K>(padded, words);
    std::memcpy(out + 8 * g, words, elements * 8);
  }
}

// Bits, one a byte, to eight a byte. Bits above the lowest of each byte are ignored.
void gather_bits(const uint8_t* in, size_t count, uint8_t* out) {
  size_t i = 0;
#if PUMAC_AVX2
  for (; i + 32 <= count; i += 32) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + i));
    const uint32_t mask = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_slli_epi16(bytes, 7)));
    std::memcpy(out + i / 8, &mask, 4);
  }
#endif
  for (; i + 8 <= count; i += 8) {
    uint64_t bytes;
    std::memcpy(&bytes, in + i, 8);
    out[i / 8] = static_cast<uint8_t>(((bytes & 0x0101010101010101ull) * 0x0102040810204080ull) >> 56);
  }
  if (i == count) return;
  uint8_t last = 0;
  for (size_t j = i; j < count; j++) last = static_cast<uint8_t>(last | ((in[j] & 1) << (j - i)));
  out[i / 8] = last;
}

void scatter_bits(const uint8_t* in, size_t count, uint8_t* out) {
  size_t i = 0;
#if PUMAC_AVX2
  const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i select = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
  const __m256i one = _mm256_set1_epi8(1);
  for (; i + 32 <= count; i += 32) {
    uint32_t word;
    std::memcpy(&word, in + i / 8, 4);
    const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(word)), spread);
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, select), select);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), _mm256_and_si256(set, one));
  }
#endif
  for (; i < count; i++) out[i] = (in[i / 8] >> (i % 8)) & 1;
}

using PackWords = void (*)(const uint64_t* in, size_t count, uint8_t* out);
using UnpackWords = void (*)(const uint8_t* in, size_t bytes, size_t count, uint64_t* out);

template <size_t... I>
constexpr std::array<PackWords, 64> packers(std::index_sequence<I...>) {
  return {pack_all<static_cast<int>(I) + 1>...};
}

template <size_t... I>
constexpr std::array<UnpackWords, 64> unpackers(std::index_sequence<I...>) {
  return {unpack_all<static_cast<int>(I) + 1>...};
}

// Entry k − 1 packs words to k bits each, or back. `count` elements, of which the first starts on a byte.
constexpr auto PACK = packers(std::make_index_sequence<64>());
constexpr auto UNPACK = unpackers(std::make_index_sequence<64>());

// Unpacks a whole section.
inline void unpack_section(int bits, const uint8_t* in, size_t count, uint64_t* out) {
  UNPACK[bits - 1](in, (count * static_cast<size_t>(bits) + 7) / 8, count, out);
}

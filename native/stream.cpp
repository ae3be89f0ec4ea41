// The stream's tiers on AES instructions: eight vectors of blocks in flight, so that the latency of a round is hidden.
#include "stream.hpp"

#include <algorithm>
#include <cstring>

#include "pool.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pumac {

namespace {

using Blocks = void (*)(const RoundKeys& keys, uint64_t block, uint8_t* out, size_t blocks);

#if defined(__x86_64__)

constexpr int FLIGHT = 8;

__attribute__((target("aes,ssse3,sse4.1"))) void expand_key_aesni(const uint8_t key[16], RoundKeys& keys) {
  std::memcpy(keys.bytes, key, 16);
  uint8_t factor = 1;
  for (int round = 1; round < 11; round++) {
    const __m128i previous = _mm_load_si128(reinterpret_cast<const __m128i*>(keys.bytes + 16 * (round - 1)));
    // Lane 3 of the assist is the S-box of the last word, rotated.
    const __m128i word = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(previous, 0), 0xff);
    __m128i next = _mm_xor_si128(previous, _mm_slli_si128(previous, 4));
    next = _mm_xor_si128(next, _mm_slli_si128(next, 8));
    next = _mm_xor_si128(_mm_xor_si128(next, word), _mm_set1_epi32(factor));
    _mm_store_si128(reinterpret_cast<__m128i*>(keys.bytes + 16 * round), next);
    factor = static_cast<uint8_t>((factor << 1) ^ ((factor >> 7) * 0x1b));
  }
}

__attribute__((target("aes,ssse3,sse4.1"))) void blocks_aesni(const RoundKeys& keys, uint64_t block, uint8_t* out,
                                                              size_t blocks) {
  const __m128i swap = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  __m128i key[11], state[FLIGHT];
  for (int i = 0; i < 11; i++) key[i] = _mm_load_si128(reinterpret_cast<const __m128i*>(keys.bytes + 16 * i));
  for (size_t done = 0; done < blocks;) {
    const size_t now = std::min<size_t>(FLIGHT, blocks - done);
    for (int i = 0; i < FLIGHT; i++) {
      const __m128i counter = _mm_set_epi64x(0, static_cast<long long>(block + done + static_cast<size_t>(i)));
      state[i] = _mm_xor_si128(_mm_shuffle_epi8(counter, swap), key[0]);
    }
    for (int round = 1; round < 10; round++) {
      for (int i = 0; i < FLIGHT; i++) state[i] = _mm_aesenc_si128(state[i], key[round]);
    }
    for (int i = 0; i < FLIGHT; i++) state[i] = _mm_aesenclast_si128(state[i], key[10]);
    if (now == FLIGHT) {
      for (int i = 0; i < FLIGHT; i++) _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16 * (done + i)), state[i]);
    } else {
      std::memcpy(out + 16 * done, state, 16 * now);
    }
    done += now;
  }
}

__attribute__((target("avx2,vaes,aes"))) void blocks_vaes256(const RoundKeys& keys, uint64_t block, uint8_t* out,
                                                             size_t blocks) {
  constexpr size_t STEP = 2 * FLIGHT;
  const __m256i swap = _mm256_broadcastsi128_si256(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  __m256i key[11], state[FLIGHT];
  for (int i = 0; i < 11; i++) {
    key[i] = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(keys.bytes + 16 * i)));
  }
  const size_t whole = blocks / STEP * STEP;
  __m256i counter = _mm256_set_epi64x(0, static_cast<long long>(block + 1), 0, static_cast<long long>(block));
  const __m256i two = _mm256_set_epi64x(0, 2, 0, 2);
  for (size_t done = 0; done < whole; done += STEP) {
    for (int i = 0; i < FLIGHT; i++) {
      state[i] = _mm256_xor_si256(_mm256_shuffle_epi8(counter, swap), key[0]);
      counter = _mm256_add_epi64(counter, two);
    }
    for (int round = 1; round < 10; round++) {
      for (int i = 0; i < FLIGHT; i++) state[i] = _mm256_aesenc_epi128(state[i], key[round]);
    }
    for (int i = 0; i < FLIGHT; i++) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 16 * done + 32 * i),
                          _mm256_aesenclast_epi128(state[i], key[10]));
    }
  }
  if (whole < blocks) blocks_aesni(keys, block + whole, out + 16 * whole, blocks - whole);
}

__attribute__((target("avx512f,avx512dq,avx512bw,avx2,vaes,aes"))) void blocks_vaes512(const RoundKeys& keys,
                                                                                       uint64_t block, uint8_t* out,
                                                                                       size_t blocks) {
  constexpr size_t STEP = 4 * FLIGHT;
  const __m512i swap = _mm512_broadcast_i32x4(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  __m512i key[11], state[FLIGHT];
  for (int i = 0; i < 11; i++) {
    key[i] = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(keys.bytes + 16 * i)));
  }
  const size_t whole = blocks / STEP * STEP;
  const __m512i four = _mm512_set_epi64(0, 4, 0, 4, 0, 4, 0, 4);
  __m512i counter = _mm512_add_epi64(_mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0),
                                     _mm512_maskz_set1_epi64(0x55, static_cast<long long>(block)));
  for (size_t done = 0; done < whole; done += STEP) {
    for (int i = 0; i < FLIGHT; i++) {
      state[i] = _mm512_xor_si512(_mm512_shuffle_epi8(counter, swap), key[0]);
      counter = _mm512_add_epi64(counter, four);
    }
    for (int round = 1; round < 10; round++) {
      for (int i = 0; i < FLIGHT; i++) state[i] = _mm512_aesenc_epi128(state[i], key[round]);
    }
    for (int i = 0; i < FLIGHT; i++) {
      _mm512_storeu_si512(out + 16 * done + 64 * i, _mm512_aesenclast_epi128(state[i], key[10]));
    }
  }
  if (whole < blocks) blocks_aesni(keys, block + whole, out + 16 * whole, blocks - whole);
}

Blocks blocks_of(StreamTier tier) {
  switch (tier) {
    case StreamTier::vaes512:
      return blocks_vaes512;
    case StreamTier::vaes256:
      return blocks_vaes256;
    case StreamTier::aesni:
      return blocks_aesni;
    default:
      return blocks_bitsliced;
  }
}

#else
Blocks blocks_of(StreamTier) { return blocks_bitsliced; }
#endif

void expand_key_portable(const uint8_t key[16], RoundKeys& keys) {
  std::memcpy(keys.bytes, key, 16);
  uint8_t factor = 1;
  for (int word = 4; word < 44; word++) {
    uint8_t* to = keys.bytes + 4 * word;
    const uint8_t* last = to - 4;
    uint8_t term[4] = {last[0], last[1], last[2], last[3]};
    if (word % 4 == 0) {
      std::rotate(term, term + 1, term + 4);
      substitute_bytes(term, 4);
      term[0] ^= factor;
      factor = static_cast<uint8_t>((factor << 1) ^ ((factor >> 7) * 0x1b));
    }
    for (int i = 0; i < 4; i++) to[i] = to[i - 16] ^ term[i];
  }
}

}  // namespace

void expand_key(const uint8_t key[16], RoundKeys& keys) {
#if defined(__x86_64__)
  if (features().aesni) {
    expand_key_aesni(key, keys);
    return;
  }
#endif
  expand_key_portable(key, keys);
}

void stream_bytes(StreamTier tier, const RoundKeys& keys, uint64_t block, uint8_t* out, size_t length) {
  const Blocks run = blocks_of(tier);
  const size_t whole = length / 16;
  if (whole > 0) run(keys, block, out, whole);
  if (length % 16 != 0) {
    uint8_t last[16];
    run(keys, block + whole, last, 1);
    std::memcpy(out + 16 * whole, last, length % 16);
  }
}

void stream_bytes_parallel(StreamTier tier, const RoundKeys& keys, uint64_t block, uint8_t* out, size_t length) {
  constexpr size_t GRAIN = 1u << 18;  // bytes: about the time that waking a thread takes
  parallel_ranges(length, GRAIN, 4096, [&](size_t begin, size_t end) {
    stream_bytes(tier, keys, block + begin / 16, out + begin, end - begin);
  });
}

}  // namespace pumac

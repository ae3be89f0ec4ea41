// AES-128 in counter mode: the pairwise streams of masks.
//
// Block i of a stream is AES-128(key, i as a 128-bit big-endian number), so that `crypto.createCipheriv("aes-128-ctr",
// key, counter)` over zeros gives the same bytes. Whoever calls decides that no position is used twice.
#pragma once

#include <cstddef>
#include <cstdint>

#include "features.hpp"

namespace pumac {

struct RoundKeys {
  alignas(64) uint8_t bytes[11 * 16];
};

// The eleven round keys of AES-128 (FIPS 197, section 5.2), without table look-ups.
void expand_key(const uint8_t key[16], RoundKeys& keys);

// Writes `length` stream bytes that begin at the first byte of block `block`. On this thread only.
void stream_bytes(StreamTier tier, const RoundKeys& keys, uint64_t block, uint8_t* out, size_t length);

// The same, cut over the thread pool where it is long.
void stream_bytes_parallel(StreamTier tier, const RoundKeys& keys, uint64_t block, uint8_t* out, size_t length);

// The S-box on `count` ≤ 128 bytes, bitsliced (stream_bitsliced.cpp); serves the key expansion of every tier.
void substitute_bytes(uint8_t* bytes, size_t count);

// Whole blocks, portable, without tables or branches on data (stream_bitsliced.cpp).
void blocks_bitsliced(const RoundKeys& keys, uint64_t block, uint8_t* out, size_t blocks);

}  // namespace pumac

// The loops of the share operations, one table for each tier: the same plain C++ compiled for several instruction sets.
//
// Every loop works on a contiguous range and on one thread; the binding cuts long ranges over the pool.
#pragma once

#include <cstddef>
#include <cstdint>

#include "features.hpp"

namespace pumac {

using PackWords = void (*)(const uint64_t* in, size_t count, uint8_t* out);
using UnpackWords = void (*)(const uint8_t* in, size_t count, uint64_t* out);

struct Loops {
  // Entry k − 1 packs words to k bits each or back. `count` elements; the first starts on a byte.
  const PackWords* pack_words;
  const UnpackWords* unpack_words;
  void (*pack_bits)(const uint8_t* in, size_t count, uint8_t* out);
  void (*unpack_bits)(const uint8_t* in, size_t count, uint8_t* out);
};

// The table of a tier; the tier must be supported by the processor.
const Loops& loops_of(Tier tier);

extern const Loops LOOPS_PORTABLE;
#if defined(__x86_64__)
extern const Loops LOOPS_AVX2;
extern const Loops LOOPS_AVX512;
#endif

}  // namespace pumac

// What a kernel sees of a call from JavaScript: one arena, numbers, and lists of integers.
//
// Offsets and lengths are checked here, once, where they become pointers: a kernel cannot reach outside its arena
// whatever its caller passes. Errors are C++ exceptions that addon.cpp turns into JavaScript's; their texts name
// arguments by position and never carry a value from the arena.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <stdexcept>
#include <vector>

#include "features.hpp"
#include "stream.hpp"

namespace pumac {

// The memory that all kernels of one party work on, the tiers they use there, and the party's stream keys. A deque,
// because a key must stay where it is while others are added.
struct Arena {
  uint8_t* bytes;
  size_t length;
  Tier tier;
  StreamTier stream;
  std::deque<RoundKeys> keys;
};

constexpr size_t MOST_ARGUMENTS = 32;
constexpr size_t MOST_LISTS = 4;

using List = std::vector<int32_t>;

class Call {
 public:
  const Arena* arena = nullptr;
  // Numbers in order; a 64-bit word argument is kept in the same place of `raw` instead.
  std::array<double, MOST_ARGUMENTS> numbers;
  std::array<uint64_t, MOST_ARGUMENTS> raw;
  std::array<std::shared_ptr<const List>, MOST_LISTS> lists;

  // List `index`: as many as the kernel's signature has are there.
  const List& list(size_t index) const { return *lists[index]; }

  // Number `index` as an integer of [least, most].
  int64_t integer(size_t index, int64_t least, int64_t most) const;

  // Number `index` as a count, a length, or a block position: 0 … 2^53.
  size_t size(size_t index) const { return static_cast<size_t>(integer(index, 0, LARGEST)); }

  // Number `index` as a small parameter.
  int small(size_t index, int least, int most) const { return static_cast<int>(integer(index, least, most)); }

  // A signed integer up to 2^53, as a word modulo 2^64.
  uint64_t signed_word(size_t index) const { return static_cast<uint64_t>(integer(index, -LARGEST, LARGEST)); }

  // Number `index` as the offset of `count` elements in the arena, aligned to their size.
  uint8_t* bytes(size_t index, size_t count) const { return at(size(index), count, 1); }
  uint64_t* words(size_t index, size_t count) const { return reinterpret_cast<uint64_t*>(at(size(index), count, 8)); }
  const int32_t* integers(size_t index, size_t count) const {
    return reinterpret_cast<const int32_t*>(at(size(index), count, 4));
  }

  // Number `index` as a key's handle.
  const RoundKeys& key(size_t index) const;

  static constexpr int64_t LARGEST = int64_t{1} << 53;

 private:
  uint8_t* at(size_t offset, size_t count, size_t size) const;
};

// a·b as a length; throws when that is no length.
size_t product_of(size_t a, size_t b);

// How many bytes `count` elements of `bits` bits take.
size_t packed_bytes(size_t count, size_t bits);

// A kernel that JavaScript may call. `signature` has a letter for each argument after the arena: n a number, w a 64-bit
// word (BigInt), l an Int32Array.
struct Kernel {
  const char* name;
  const char* signature;
  void (*run)(const Call& call);
};

struct KernelTable {
  const Kernel* first;
  size_t count;
};

// The kernels of a tier: the same names in the same order for every tier.
KernelTable kernels_of(Tier tier);

KernelTable kernels_portable();
#if defined(__x86_64__)
KernelTable kernels_avx2();
KernelTable kernels_avx512();
#endif

}  // namespace pumac

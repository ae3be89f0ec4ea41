// Matrix products over Z_2^64: C ±= A·B for many matrices at once.
//
// The method is the usual one of fast matrix libraries (Goto and van de Geijn, "Anatomy of high-performance matrix
// multiplication", 2008): a block of A is packed into the second-level cache, a panel of B into the first just before
// its use, and a micro-kernel keeps one tile of C in registers. Only the micro-kernel knows the instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "features.hpp"
#include "stream.hpp"

namespace pumac {

// Words that lie nowhere: a section of packed `fields`, of which the bits of `mask` count, minus twice the words of
// the stream `key`; or, without fields, the words of `key` minus those of `other`. Streams begin at `block`.
struct MaskedWords {
  const uint8_t* fields;
  size_t bytes;
  int bits;
  uint64_t mask;
  const RoundKeys* key;
  const RoundKeys* other;
  uint64_t block;
  StreamTier stream;
};

// A read-only matrix of 64-bit words, columns adjacent: `at` (sign 0), or `at` plus (1) or minus (−1) `other`, which
// has the same layout, or the bits of `mask` of `at` minus twice `other` (−2), or `masked`, where that is not null.
struct Operand {
  const uint64_t* at;
  const uint64_t* other;
  int sign;
  size_t row;
  uint64_t mask;
  const MaskedWords* masked = nullptr;
};

// One product: C (rows × columns, both adjacent) = or += ±A·B mod 2^64. C overlaps neither A nor B.
struct Product {
  Operand a;
  Operand b;
  uint64_t* c;
};

// What all products of a batch share. Only the low `ring` bits of the result matter.
struct ProductShape {
  size_t rows;
  size_t depth;
  size_t columns;
  bool negate;
  bool accumulate;
  int ring;
};

// A micro-kernel: out[i·columns + j] = Σ_p a[p·rows + i]·b[p·columns + j] for a whole tile, operands packed, mod 2^64
// or, for T = uint32_t, mod 2^32.
template <class T>
struct Tile {
  size_t rows;
  size_t columns;
  void (*run)(size_t depth, const T* a, const T* b, T* out);
};

// The micro-kernels of a tier; the tier must be supported by the processor. Only the low `ring` bits matter.
const Tile<uint64_t>& wide_tile_of(Tier tier, int ring);
const Tile<uint32_t>& narrow_tile_of(Tier tier);

// Whether a ring of so many bits is multiplied in elements of 32 bits: where that is faster.
bool is_narrow(Tier tier, int ring);

// c[j] += scales[0]·b[0][j] + … + scales[depth − 1]·b[depth − 1][j] for `count` adjacent j; `row` words from one row of
// b to the next. For products of few rows: B is read once, in order, without packing.
using RowStream = void (*)(const uint64_t* scales, const uint64_t* b, size_t row, size_t depth, size_t count,
                           uint64_t* c);
RowStream row_stream_of(Tier tier);

}  // namespace pumac

// Matrix products over Z_2^64: C ±= A·B for many matrices at once, with strides.
//
// The method is the usual one of fast matrix libraries (Goto and van de Geijn, "Anatomy of high-performance matrix
// multiplication", 2008): a block of A is packed into the second-level cache, a panel of B is packed into the first just
// before its use, and a micro-kernel keeps one tile of C in registers. Only the micro-kernel knows the instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "features.hpp"

namespace pumac {

// A read-only matrix of 64-bit words; strides count words and may be 0 (a repeated row or column).
struct Matrix {
  const uint64_t* data;
  size_t row;
  size_t column;
};

// One product: C (rows × columns, row stride `c_row`, columns adjacent) = or += ±A·B mod 2^64. C overlaps neither A
// nor B.
struct Product {
  Matrix a;
  Matrix b;
  uint64_t* c;
  size_t c_row;
};

// What all products of a batch share.
struct ProductShape {
  size_t rows;
  size_t depth;
  size_t columns;
  bool negate;
  bool accumulate;
};

// A micro-kernel: out[i·columns + j] = Σ_p a[p·rows + i]·b[p·columns + j] for a whole tile, operands packed.
struct Tile {
  size_t rows;
  size_t columns;
  void (*run)(size_t depth, const uint64_t* a, const uint64_t* b, uint64_t* out);
};

// The micro-kernel of a tier; the tier must be supported by the processor.
const Tile& tile_of(Tier tier);

// Computes `count` products on the thread pool.
void multiply_matrices(Tier tier, const ProductShape& shape, const Product* products, size_t count);

// The same without packing, for products of few rows with adjacent columns in B (a vector times a matrix): B is read
// once, in order. Chosen by `multiply_matrices`.
using RowStream = void (*)(const ProductShape& shape, const Product& product, size_t begin, size_t end);
RowStream row_stream_of(Tier tier);

}  // namespace pumac

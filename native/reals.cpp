// The blocked product of doubles: the method of matmul.hpp, with sums that go on in C from one depth block to the next.
#include "reals.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "pool.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pumac {

namespace {

constexpr size_t DEPTH_BLOCK = 256;
constexpr size_t ROW_BLOCK = 144;  // a multiple of every tile's rows
constexpr size_t PANEL = 8;        // a multiple of every tile's columns
constexpr size_t LARGEST_TILE = 6 * 8;

// A micro-kernel: c[i·c_row + j] += Σ_p a[p·rows + i]·b[p·columns + j] for a whole tile, one step p after another.
struct RealTile {
  size_t rows;
  size_t columns;
  void (*run)(size_t depth, const double* a, const double* b, double* c, size_t c_row);
};

// Products and sums are kept apart: compilers may join them where the instruction set can (-ffp-contract).
void tile_portable(size_t depth, const double* a, const double* b, double* c, size_t c_row) {
  double sum[4][4];
  for (int i = 0; i < 4; i++) std::memcpy(sum[i], c + i * c_row, sizeof sum[i]);
  for (size_t p = 0; p < depth; p++, a += 4, b += 4) {
    for (int i = 0; i < 4; i++) {
      for (int j = 0; j < 4; j++) sum[i][j] += a[i] * b[j];
    }
  }
  for (int i = 0; i < 4; i++) std::memcpy(c + i * c_row, sum[i], sizeof sum[i]);
}

constexpr RealTile PORTABLE{4, 4, tile_portable};

#if defined(__x86_64__)

// As in tiles.cpp: g++ 12 otherwise copies every accumulator at each step.
#if defined(__GNUC__) && !defined(__clang__) && !defined(PUMAC_PLAIN_INTRINSICS)
#define ADD_256(sum, term) asm("vaddpd %1, %0, %0" : "+x"(sum) : "x"(term))
#else
#define ADD_256(sum, term) (sum) = _mm256_add_pd((sum), (term))
#endif

#define AVX2_LOAD(i) left##i = _mm256_loadu_pd(c + (i) * c_row), right##i = _mm256_loadu_pd(c + (i) * c_row + 4);
#define AVX2_ROW(i)                 \
  x = _mm256_broadcast_sd(a + (i)); \
  term = _mm256_mul_pd(x, y0);      \
  ADD_256(left##i, term);           \
  term = _mm256_mul_pd(x, y1);      \
  ADD_256(right##i, term);
#define AVX2_STORE(i) _mm256_storeu_pd(c + (i) * c_row, left##i), _mm256_storeu_pd(c + (i) * c_row + 4, right##i);

// 6 × 8: twelve sums, two vectors of B, one broadcast of A, one product: sixteen registers.
__attribute__((target("avx2"), noinline)) void tile_avx2(size_t depth, const double* a, const double* b, double* c,
                                                         size_t c_row) {
  __m256d left0, left1, left2, left3, left4, left5, right0, right1, right2, right3, right4, right5, x, term;
  AVX2_LOAD(0) AVX2_LOAD(1) AVX2_LOAD(2) AVX2_LOAD(3) AVX2_LOAD(4) AVX2_LOAD(5)
  for (size_t p = 0; p < depth; p++, a += 6, b += 8) {
    const __m256d y0 = _mm256_loadu_pd(b), y1 = _mm256_loadu_pd(b + 4);
    AVX2_ROW(0) AVX2_ROW(1) AVX2_ROW(2) AVX2_ROW(3) AVX2_ROW(4) AVX2_ROW(5)
  }
  AVX2_STORE(0) AVX2_STORE(1) AVX2_STORE(2) AVX2_STORE(3) AVX2_STORE(4) AVX2_STORE(5)
}

constexpr RealTile AVX2{6, 8, tile_avx2};

// 512-bit vectors were slower here (16 against 21 billion multiply-adds a second and core of a Zen 4).
const RealTile& tile_of(Tier tier) { return tier == Tier::portable ? PORTABLE : AVX2; }
#else
const RealTile& tile_of(Tier) { return PORTABLE; }
#endif

// Rows × depth of A from `from` on: tile after tile, within a tile step after step, padded with zero rows.
void pack_a(const double* from, size_t row, size_t rows, size_t depth, size_t tile, double* out) {
  for (size_t top = 0; top < rows; top += tile, out += tile * depth) {
    for (size_t i = 0; i < tile; i++) {
      const double* line = from + (top + i) * row;
      const bool inside = top + i < rows;
      for (size_t p = 0; p < depth; p++) out[p * tile + i] = inside ? line[p] : 0;
    }
  }
}

// Depth × columns of B from `from` on, columns ≤ PANEL: one sub-panel a tile's width after another, padded with zeros.
template <class T>
void pack_b(const T* from, size_t row, size_t depth, size_t columns, size_t tile, double* out) {
  for (size_t left = 0; left < columns; left += tile, from += tile, out += tile * depth) {
    const size_t width = std::min(tile, columns - left);
    for (size_t p = 0; p < depth; p++) {
      const T* line = from + p * row;
      double* to = out + p * tile;
      for (size_t j = 0; j < width; j++) to[j] = static_cast<double>(line[j]);
      for (size_t j = width; j < tile; j++) to[j] = 0;
    }
  }
}

struct Workspace {
  std::vector<double> numbers;

  Workspace() : numbers((ROW_BLOCK + PANEL) * DEPTH_BLOCK + 8) {}

  double* aligned() {
    return reinterpret_cast<double*>((reinterpret_cast<uintptr_t>(numbers.data()) + 63) / 64 * 64);
  }
};

// One tile of C at `c`, of which rows × columns are there.
void run_tile(const RealTile& tile, size_t depth, const double* a, const double* b, double* c, size_t c_row,
              size_t rows, size_t columns) {
  if (rows == tile.rows && columns == tile.columns) return tile.run(depth, a, b, c, c_row);
  alignas(64) double sums[LARGEST_TILE] = {};
  for (size_t i = 0; i < rows; i++) std::memcpy(sums + i * tile.columns, c + i * c_row, columns * sizeof(double));
  tile.run(depth, a, b, sums, tile.columns);
  for (size_t i = 0; i < rows; i++) std::memcpy(c + i * c_row, sums + i * tile.columns, columns * sizeof(double));
}

// Rows [row, row + rows) × columns [begin, end); rows ≤ ROW_BLOCK.
void multiply_block(const RealTile& tile, const RealProduct& product, size_t row, size_t rows, size_t begin,
                    size_t end) {
  thread_local Workspace space;
  double* const packed_b = space.aligned();
  double* const packed_a = packed_b + PANEL * DEPTH_BLOCK;
  double* const c = product.c + row * product.columns;
  for (size_t i = 0; i < rows; i++) std::fill(c + i * product.columns + begin, c + i * product.columns + end, 0.0);
  for (size_t step = 0; step < product.inner; step += DEPTH_BLOCK) {
    const size_t depth = std::min(DEPTH_BLOCK, product.inner - step);
    pack_a(product.a + row * product.inner + step, product.inner, rows, depth, tile.rows, packed_a);
    for (size_t column = begin; column < end; column += PANEL) {
      const size_t columns = std::min(PANEL, end - column), at = step * product.columns + column;
      if (product.b != nullptr) {
        pack_b(product.b + at, product.columns, depth, columns, tile.columns, packed_b);
      } else {
        pack_b(product.short_b + at, product.columns, depth, columns, tile.columns, packed_b);
      }
      for (size_t top = 0; top < rows; top += tile.rows) {
        for (size_t left = 0; left < columns; left += tile.columns) {
          run_tile(tile, depth, packed_a + top * depth, packed_b + left * depth,
                   c + top * product.columns + column + left, product.columns, std::min(tile.rows, rows - top),
                   std::min(tile.columns, columns - left));
        }
      }
    }
  }
}

}  // namespace

void multiply_reals(Tier tier, const RealProduct& product) {
  if (product.rows == 0 || product.columns == 0) return;
  constexpr size_t LEAST_WORK = 1u << 20;  // multiply-adds a task should have at least: each packs A for itself
  const size_t row_blocks = (product.rows + ROW_BLOCK - 1) / ROW_BLOCK;
  const size_t work = product.rows * product.inner * product.columns;
  const size_t wanted = std::min(pool_threads(), std::max<size_t>(work / LEAST_WORK, 1));
  const size_t pieces = (wanted + row_blocks - 1) / row_blocks;
  const size_t panels = (product.columns + PANEL - 1) / PANEL;
  const size_t share = (panels + pieces - 1) / pieces * PANEL;
  const size_t shares = (product.columns + share - 1) / share;
  const auto task = [&](size_t index) {
    const size_t begin = index % shares * share, row = index / shares * ROW_BLOCK;
    multiply_block(tile_of(tier), product, row, std::min(ROW_BLOCK, product.rows - row), begin,
                   std::min(product.columns, begin + share));
  };
  if (wanted == 1) {
    for (size_t i = 0; i < row_blocks * shares; i++) task(i);
  } else {
    parallel_for(row_blocks * shares, task);
  }
}

}  // namespace pumac

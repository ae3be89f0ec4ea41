// The blocked matrix product: cuts the work, packs, runs micro-kernels, merges tiles into C.
#include "matmul.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "pool.hpp"

namespace pumac {

namespace {

constexpr size_t DEPTH_BLOCK = 256;  // steps of the inner dimension between two visits to C
constexpr size_t ROW_BLOCK = 144;    // rows of A packed at once (288 KiB); a multiple of every tile's rows
constexpr size_t PANEL = 16;         // columns of B packed at once (32 KiB); a multiple of every tile's columns
constexpr size_t STREAM_ROWS = 3;    // up to here B is streamed instead of packed
constexpr size_t LARGEST_TILE = 8 * 16;

// Packs rows [row, row + rows) × steps [step, step + depth) of A: tile after tile, within a tile step after step,
// padded with zero rows.
void pack_a(const Matrix& a, size_t row, size_t rows, size_t step, size_t depth, size_t tile, uint64_t* out) {
  for (size_t top = 0; top < rows; top += tile) {
    const size_t used = std::min(tile, rows - top);
    for (size_t i = 0; i < tile; i++) {
      uint64_t* to = out + i;
      if (i >= used) {
        for (size_t p = 0; p < depth; p++) to[p * tile] = 0;
        continue;
      }
      const uint64_t* from = a.data + (row + top + i) * a.row + step * a.column;
      for (size_t p = 0; p < depth; p++) to[p * tile] = from[p * a.column];
    }
    out += tile * depth;
  }
}

// Packs steps [step, step + depth) × columns [column, column + columns) of B, columns ≤ PANEL: one sub-panel a tile's
// width after another, padded with zero columns.
void pack_b(const Matrix& b, size_t step, size_t depth, size_t column, size_t columns, size_t tile, uint64_t* out) {
  for (size_t left = 0; left < columns; left += tile) {
    const size_t used = std::min(tile, columns - left);
    uint64_t* to = out + left * depth;
    const uint64_t* from = b.data + step * b.row + (column + left) * b.column;
    if (used < tile) std::memset(to, 0, tile * depth * sizeof(uint64_t));
    if (b.column == 1) {
      for (size_t p = 0; p < depth; p++) {
        std::memcpy(to + p * tile, from + p * b.row, used * sizeof(uint64_t));
      }
    } else {
      for (size_t j = 0; j < used; j++) {
        for (size_t p = 0; p < depth; p++) to[p * tile + j] = from[p * b.row + j * b.column];
      }
    }
  }
}

// C's tile = or += ± the micro-kernel's sums.
void merge(const uint64_t* tile, size_t stride, uint64_t* c, size_t c_row, size_t rows, size_t columns, bool negate,
           bool accumulate) {
  for (size_t i = 0; i < rows; i++) {
    for (size_t j = 0; j < columns; j++) {
      const uint64_t value = negate ? 0 - tile[i * stride + j] : tile[i * stride + j];
      c[i * c_row + j] = accumulate ? c[i * c_row + j] + value : value;
    }
  }
}

struct Workspace {
  std::vector<uint64_t> words;
  uint64_t* a;
  uint64_t* b;

  Workspace() : words((ROW_BLOCK + PANEL) * DEPTH_BLOCK + 8) {
    const uintptr_t start = reinterpret_cast<uintptr_t>(words.data());
    b = words.data() + ((64 - start % 64) % 64) / sizeof(uint64_t);
    a = b + PANEL * DEPTH_BLOCK;
  }
};

// Rows [row, row + rows) × columns [begin, end) of one product; rows ≤ ROW_BLOCK.
void multiply_block(const Tile& tile, const ProductShape& shape, const Product& product, size_t row, size_t rows,
                    size_t begin, size_t end) {
  thread_local Workspace space;
  alignas(64) uint64_t sums[LARGEST_TILE];
  for (size_t step = 0; step < shape.depth; step += DEPTH_BLOCK) {
    const size_t depth = std::min(DEPTH_BLOCK, shape.depth - step);
    const bool accumulate = shape.accumulate || step > 0;
    pack_a(product.a, row, rows, step, depth, tile.rows, space.a);
    for (size_t column = begin; column < end; column += PANEL) {
      const size_t columns = std::min(PANEL, end - column);
      pack_b(product.b, step, depth, column, columns, tile.columns, space.b);
      for (size_t top = 0; top < rows; top += tile.rows) {
        for (size_t left = 0; left < columns; left += tile.columns) {
          tile.run(depth, space.a + top * depth, space.b + left * depth, sums);
          merge(sums, tile.columns, product.c + (row + top) * product.c_row + column + left, product.c_row,
                std::min(tile.rows, rows - top), std::min(tile.columns, columns - left), shape.negate, accumulate);
        }
      }
    }
  }
}

void clear(const ProductShape& shape, const Product& product) {
  for (size_t i = 0; i < shape.rows; i++) {
    std::memset(product.c + i * product.c_row, 0, shape.columns * sizeof(uint64_t));
  }
}

// How many columns a task takes: all of them when there are tasks enough, else a share, in whole panels.
size_t column_share(size_t columns, size_t tasks, size_t work) {
  constexpr size_t LEAST_WORK = 1u << 16;  // multiply-adds a task should have at least
  const size_t threads = pool_threads();
  const size_t wanted = std::min(4 * threads, std::max<size_t>(work / LEAST_WORK, 1));
  const size_t pieces = threads == 1 ? 1 : (wanted + tasks - 1) / tasks;
  const size_t panels = (columns + PANEL - 1) / PANEL;
  return (panels + pieces - 1) / pieces * PANEL;
}

}  // namespace

void multiply_matrices(Tier tier, const ProductShape& shape, const Product* products, size_t count) {
  if (shape.rows == 0 || shape.columns == 0 || count == 0) return;
  if (shape.depth == 0) {
    for (size_t i = 0; i < count && !shape.accumulate; i++) clear(shape, products[i]);
    return;
  }
  const bool streamed = shape.rows <= STREAM_ROWS && products[0].b.column == 1;
  const Tile& tile = tile_of(tier);
  const RowStream stream = row_stream_of(tier);
  const size_t row_blocks = streamed ? 1 : (shape.rows + ROW_BLOCK - 1) / ROW_BLOCK;
  const size_t work = count * shape.rows * shape.depth * shape.columns;
  const size_t share = column_share(shape.columns, count * row_blocks, work);
  const size_t shares = (shape.columns + share - 1) / share;
  const auto task = [&](size_t index) {
    const size_t begin = index % shares * share;
    const size_t end = std::min(shape.columns, begin + share);
    const size_t row = index / shares % row_blocks * ROW_BLOCK;
    const Product& product = products[index / shares / row_blocks];
    if (streamed) {
      stream(shape, product, begin, end);
    } else {
      multiply_block(tile, shape, product, row, std::min(ROW_BLOCK, shape.rows - row), begin, end);
    }
  };
  const size_t tasks = count * row_blocks * shares;
  if (work < (1u << 15)) {
    for (size_t i = 0; i < tasks; i++) task(i);
  } else {
    parallel_for(tasks, task);
  }
}

}  // namespace pumac

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
constexpr size_t STREAM_DEPTH = 4;   // rows and columns of a piece of B that is combined of two places (16 KiB)
constexpr size_t STREAM_WIDTH = 512;
constexpr size_t LARGEST_TILE = 12 * 16;

// `count` words of an operand from word `from` on, combined if need be.
void read_words(const Operand& operand, size_t from, size_t count, uint64_t* out) {
  const uint64_t* x = operand.at + from;
  if (operand.sign == 0) {
    std::memcpy(out, x, count * sizeof(uint64_t));
    return;
  }
  const uint64_t* y = operand.other + from;
  if (operand.sign > 0) {
    for (size_t i = 0; i < count; i++) out[i] = x[i] + y[i];
  } else if (operand.sign == -1) {
    for (size_t i = 0; i < count; i++) out[i] = x[i] - y[i];
  } else {
    for (size_t i = 0; i < count; i++) out[i] = (x[i] & operand.mask) - 2 * y[i];
  }
}

// Packs rows [row, row + rows) × steps [step, step + depth) of A, depth ≤ DEPTH_BLOCK: tile after tile, within a tile
// step after step, padded with zero rows.
template <class T>
void pack_a(const Operand& a, size_t row, size_t rows, size_t step, size_t depth, size_t tile, T* out) {
  uint64_t line[DEPTH_BLOCK];
  for (size_t top = 0; top < rows; top += tile, out += tile * depth) {
    for (size_t i = 0; i < tile; i++) {
      if (top + i < rows) {
        read_words(a, (row + top + i) * a.row + step, depth, line);
      } else {
        std::memset(line, 0, depth * sizeof(uint64_t));
      }
      for (size_t p = 0; p < depth; p++) out[p * tile + i] = static_cast<T>(line[p]);
    }
  }
}

// A whole panel, its width, the tile's and the sign known to the compiler: each row of B is read once.
template <size_t TILE, int SIGN, class T>
void pack_panel(const Operand& b, size_t at, size_t depth, T* out) {
  const uint64_t *from = b.at + at, *other = SIGN == 0 ? from : b.other + at, mask = b.mask;
  for (size_t p = 0; p < depth; p++, from += b.row, other += b.row) {
    T line[PANEL];
    for (size_t j = 0; j < PANEL; j++) {
      const uint64_t word = SIGN == 0    ? from[j]
                            : SIGN == 1  ? from[j] + other[j]
                            : SIGN == -1 ? from[j] - other[j]
                                         : (from[j] & mask) - 2 * other[j];
      line[j] = static_cast<T>(word);
    }
    for (size_t left = 0; left < PANEL; left += TILE) {
      std::memcpy(out + left * depth + p * TILE, line + left, TILE * sizeof(T));
    }
  }
}

template <size_t TILE, class T>
void pack_signed_panel(const Operand& b, size_t at, size_t depth, T* out) {
  if (b.sign == 0) return pack_panel<TILE, 0>(b, at, depth, out);
  if (b.sign == 1) return pack_panel<TILE, 1>(b, at, depth, out);
  return b.sign == -1 ? pack_panel<TILE, -1>(b, at, depth, out) : pack_panel<TILE, -2>(b, at, depth, out);
}

// Packs steps [step, step + depth) × columns [column, column + columns) of B, columns ≤ PANEL: one sub-panel a tile's
// width after another, padded with zero columns.
template <class T>
void pack_b(const Operand& b, size_t step, size_t depth, size_t column, size_t columns, size_t tile, T* out) {
  const size_t at = step * b.row + column;
  if (columns == PANEL) {
    return tile == 4 ? pack_signed_panel<4>(b, at, depth, out) : pack_signed_panel<16>(b, at, depth, out);
  }
  for (size_t p = 0; p < depth; p++) {
    uint64_t line[PANEL] = {};
    read_words(b, at + p * b.row, columns, line);
    for (size_t left = 0; left < columns; left += tile) {
      for (size_t j = 0; j < tile; j++) out[left * depth + p * tile + j] = static_cast<T>(line[left + j]);
    }
  }
}

// C's tile = or += ± the micro-kernel's sums.
template <class T>
void merge(const T* tile, size_t stride, uint64_t* c, size_t c_row, size_t rows, size_t columns, bool negate,
           bool accumulate) {
  for (size_t i = 0; i < rows; i++) {
    for (size_t j = 0; j < columns; j++) {
      const uint64_t sum = tile[i * stride + j], value = negate ? 0 - sum : sum;
      c[i * c_row + j] = accumulate ? c[i * c_row + j] + value : value;
    }
  }
}

// Where a thread packs; large enough for either width of elements.
struct Workspace {
  std::vector<uint64_t> words;

  Workspace() : words((ROW_BLOCK + PANEL) * DEPTH_BLOCK + 8) {}

  template <class T>
  T* aligned() {
    const uintptr_t start = reinterpret_cast<uintptr_t>(words.data());
    return reinterpret_cast<T*>((start + 63) / 64 * 64);
  }
};

// Rows [row, row + rows) × columns [begin, end) of one product; rows ≤ ROW_BLOCK.
template <class T>
void multiply_block(const Tile<T>& tile, const ProductShape& shape, const Product& product, size_t row, size_t rows,
                    size_t begin, size_t end) {
  thread_local Workspace space;
  T* const packed_b = space.aligned<T>();
  T* const packed_a = packed_b + PANEL * DEPTH_BLOCK;
  alignas(64) T sums[LARGEST_TILE];
  for (size_t step = 0; step < shape.depth; step += DEPTH_BLOCK) {
    const size_t depth = std::min(DEPTH_BLOCK, shape.depth - step);
    const bool accumulate = shape.accumulate || step > 0;
    pack_a(product.a, row, rows, step, depth, tile.rows, packed_a);
    for (size_t column = begin; column < end; column += PANEL) {
      const size_t columns = std::min(PANEL, end - column);
      pack_b(product.b, step, depth, column, columns, tile.columns, packed_b);
      for (size_t top = 0; top < rows; top += tile.rows) {
        for (size_t left = 0; left < columns; left += tile.columns) {
          tile.run(depth, packed_a + top * depth, packed_b + left * depth, sums);
          merge(sums, tile.columns, product.c + (row + top) * shape.columns + column + left, shape.columns,
                std::min(tile.rows, rows - top), std::min(tile.columns, columns - left), shape.negate, accumulate);
        }
      }
    }
  }
}

// All rows × columns [begin, end) of one product, B unpacked: where it is combined of two places, a piece that fits
// the first-level cache at a time, for all rows.
void stream_rows(RowStream stream, const ProductShape& shape, const Product& product, size_t begin, size_t end) {
  const Operand& b = product.b;
  uint64_t scales[STREAM_ROWS][DEPTH_BLOCK], piece[STREAM_DEPTH * STREAM_WIDTH];
  const auto row_of_c = [&](size_t i) { return product.c + i * shape.columns; };
  for (size_t i = 0; i < shape.rows && !shape.accumulate; i++) {
    std::memset(row_of_c(i) + begin, 0, (end - begin) * sizeof(uint64_t));
  }
  for (size_t step = 0; step < shape.depth; step += DEPTH_BLOCK) {
    const size_t depth = std::min(DEPTH_BLOCK, shape.depth - step);
    for (size_t i = 0; i < shape.rows; i++) {
      read_words(product.a, i * product.a.row + step, depth, scales[i]);
      for (size_t p = 0; p < depth && shape.negate; p++) scales[i][p] = 0 - scales[i][p];
    }
    if (b.sign == 0) {
      const uint64_t* from = b.at + step * b.row + begin;
      for (size_t i = 0; i < shape.rows; i++) {
        stream(scales[i], from, b.row, depth, end - begin, row_of_c(i) + begin);
      }
      continue;
    }
    for (size_t top = 0; top < depth; top += STREAM_DEPTH) {
      const size_t some = std::min(STREAM_DEPTH, depth - top);
      for (size_t left = begin; left < end; left += STREAM_WIDTH) {
        const size_t width = std::min(STREAM_WIDTH, end - left);
        for (size_t p = 0; p < some; p++) {
          read_words(b, (step + top + p) * b.row + left, width, piece + p * width);
        }
        for (size_t i = 0; i < shape.rows; i++) stream(scales[i] + top, piece, width, some, width, row_of_c(i) + left);
      }
    }
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
    const size_t bytes = shape.rows * shape.columns * sizeof(uint64_t);
    for (size_t i = 0; i < count && !shape.accumulate; i++) std::memset(products[i].c, 0, bytes);
    return;
  }
  const bool streamed = shape.rows <= STREAM_ROWS;
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
      stream_rows(stream, shape, product, begin, end);
    } else if (shape.ring <= 32) {
      multiply_block(narrow_tile_of(tier), shape, product, row, std::min(ROW_BLOCK, shape.rows - row), begin, end);
    } else {
      const Tile<uint64_t>& tile = wide_tile_of(tier, shape.ring);
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

// The blocked matrix product (matmul.hpp): cuts the work, packs, runs micro-kernels, merges tiles into C. Included by
// body.hpp: what packs is worth a tier's instructions as well as what multiplies.

constexpr size_t DEPTH_BLOCK = 256;  // steps of the inner dimension between two visits to C
constexpr size_t ROW_BLOCK = 144;    // rows of A packed at once (288 KiB); a multiple of every tile's rows
constexpr size_t PANEL = 16;         // columns of B that are multiplied at once (32 KiB); a multiple of every tile's
constexpr size_t STRIP = 64;         // columns of B packed at once where its words are made: a full flight of AES blocks
constexpr size_t LINE = 512;         // words that are made at once, at most
constexpr size_t STREAM_ROWS = 3;    // up to here B is streamed instead of packed
constexpr size_t STREAM_DEPTH = 4;   // rows and columns of a piece of B that is combined of two places (16 KiB)
constexpr size_t STREAM_WIDTH = 512;
constexpr size_t MOST_TILE_ROWS = 12;
constexpr size_t LARGEST_TILE = MOST_TILE_ROWS * PANEL;

// One word of an operand: of `from`, combined with that of `other` by a sign that the compiler knows.
template <int SIGN>
inline uint64_t combined(uint64_t from, uint64_t other, uint64_t mask) {
  return SIGN == 0 ? from : SIGN == 1 ? from + other : SIGN == -1 ? from - other : (from & mask) - 2 * other;
}

template <int SIGN>
void read_combined(const uint64_t* x, const uint64_t* y, uint64_t mask, size_t count, uint64_t* out) {
  for (size_t i = 0; i < count; i++) out[i] = combined<SIGN>(x[i], y[i], mask);
}

void subtract_twice(const uint64_t* mask, const uint64_t* from, uint64_t low, size_t count, uint64_t* out) {
  INDEPENDENT
  for (size_t i = 0; i < count; i++) out[i] = (from[i] & low) - 2 * mask[i];
}

void subtract_words(const uint64_t* a, const uint64_t* b, size_t count, uint64_t* out) {
  INDEPENDENT
  for (size_t i = 0; i < count; i++) out[i] = a[i] - b[i];
}

// Makes `count` words from word `from` on. Blocks and packed groups begin at multiples of eight words.
void make_words(const MaskedWords& words, size_t from, size_t count, uint64_t* out) {
  alignas(64) uint64_t first[LINE + 8], second[LINE + 8];
  for (size_t done = 0; done < count;) {
    const size_t at = (from + done) / 8 * 8, skipped = from + done - at, some = std::min(LINE, count - done);
    const size_t all = skipped + some, stream_length = (all + 1) / 2 * 16;
    stream_bytes(words.stream, *words.key, words.block + at / 2, reinterpret_cast<uint8_t*>(first), stream_length);
    if (words.fields != nullptr) {
      const size_t start = at / 8 * static_cast<size_t>(words.bits);
      UNPACK[words.bits - 1](words.fields + start, words.bytes - start, all, second);
      subtract_twice(first + skipped, second + skipped, words.mask, some, out + done);
    } else {
      stream_bytes(words.stream, *words.other, words.block + at / 2, reinterpret_cast<uint8_t*>(second), stream_length);
      subtract_words(first + skipped, second + skipped, some, out + done);
    }
    done += some;
  }
}

// `count` words of an operand from word `from` on, made or combined if need be.
void read_words(const Operand& operand, size_t from, size_t count, uint64_t* out) {
  if (operand.masked != nullptr) return make_words(*operand.masked, from, count, out);
  const uint64_t *x = operand.at + from, *y = operand.sign == 0 ? x : operand.other + from;
  if (operand.sign == 0) {
    std::memcpy(out, x, count * sizeof(uint64_t));
  } else if (operand.sign == 1) {
    read_combined<1>(x, y, operand.mask, count, out);
  } else if (operand.sign == -1) {
    read_combined<-1>(x, y, operand.mask, count, out);
  } else {
    read_combined<-2>(x, y, operand.mask, count, out);
  }
}

// Packs rows [row, row + rows) × steps [step, step + depth) of A, depth ≤ DEPTH_BLOCK: tile after tile, within a tile
// step after step, padded with zero rows.
template <size_t TILE, class T>
void pack_rows(const Operand& a, size_t row, size_t rows, size_t step, size_t depth, T* out) {
  uint64_t lines[TILE][DEPTH_BLOCK];
  for (size_t top = 0; top < rows; top += TILE, out += TILE * depth) {
    for (size_t i = 0; i < TILE; i++) {
      if (top + i < rows) {
        read_words(a, (row + top + i) * a.row + step, depth, lines[i]);
      } else {
        std::memset(lines[i], 0, depth * sizeof(uint64_t));
      }
    }
    for (size_t p = 0; p < depth; p++) {
      for (size_t i = 0; i < TILE; i++) out[p * TILE + i] = static_cast<T>(lines[i][p]);
    }
  }
}

template <class T>
void pack_a(const Operand& a, size_t row, size_t rows, size_t step, size_t depth, size_t tile, T* out) {
  if (tile == 4) return pack_rows<4>(a, row, rows, step, depth, out);
  if (tile == 6) return pack_rows<6>(a, row, rows, step, depth, out);
  return tile == 8 ? pack_rows<8>(a, row, rows, step, depth, out) : pack_rows<12>(a, row, rows, step, depth, out);
}

// A whole panel, its width, the tile's and the sign known to the compiler: each row of B is read once.
template <size_t TILE, int SIGN, class T>
void pack_panel(const Operand& b, size_t at, size_t depth, T* out) {
  const uint64_t *from = b.at + at, *other = SIGN == 0 ? from : b.other + at, mask = b.mask;
  for (size_t p = 0; p < depth; p++, from += b.row, other += b.row) {
    T line[PANEL];
    for (size_t j = 0; j < PANEL; j++) line[j] = static_cast<T>(combined<SIGN>(from[j], other[j], mask));
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

// The same of columns ≤ STRIP whose words are made as they are packed: one panel after another.
template <size_t TILE, class T>
void pack_strip(const Operand& b, size_t at, size_t depth, size_t columns, T* out) {
  alignas(64) uint64_t line[STRIP] = {};
  for (size_t p = 0; p < depth; p++, at += b.row) {
    make_words(*b.masked, at, columns, line);
    for (size_t left = 0; left < columns; left += TILE) {
      T* to = out + left * depth + p * TILE;
      for (size_t j = 0; j < TILE; j++) to[j] = static_cast<T>(line[left + j]);
    }
  }
}

template <class T>
void pack_columns(const Operand& b, size_t step, size_t depth, size_t column, size_t columns, size_t tile, T* out) {
  if (b.masked == nullptr) return pack_b(b, step, depth, column, columns, tile, out);
  const size_t at = step * b.row + column;
  return tile == 4 ? pack_strip<4>(b, at, depth, columns, out) : pack_strip<16>(b, at, depth, columns, out);
}

template <bool NEGATE, bool ACCUMULATE, class T>
void merge_signed(const T* tile, size_t stride, uint64_t* c, size_t c_row, size_t rows, size_t columns) {
  for (size_t i = 0; i < rows; i++, tile += stride, c += c_row) {
    INDEPENDENT
    for (size_t j = 0; j < columns; j++) {
      const uint64_t sum = tile[j], before = ACCUMULATE ? c[j] : 0;
      c[j] = NEGATE ? before - sum : before + sum;
    }
  }
}

// C's tile = or += ± the micro-kernel's sums.
template <class T>
void merge(const ProductShape& shape, bool accumulate, const T* tile, size_t stride, uint64_t* c, size_t rows,
           size_t columns) {
  const size_t row = shape.columns;
  if (shape.negate) {
    return accumulate ? merge_signed<true, true>(tile, stride, c, row, rows, columns)
                      : merge_signed<true, false>(tile, stride, c, row, rows, columns);
  }
  return accumulate ? merge_signed<false, true>(tile, stride, c, row, rows, columns)
                    : merge_signed<false, false>(tile, stride, c, row, rows, columns);
}

// Where a thread packs; large enough for either width of elements, and as large as it was ever asked for.
struct Workspace {
  std::vector<uint64_t> words;

  template <class T>
  T* aligned(size_t count) {
    words.resize(std::max(words.size(), count * sizeof(T) / sizeof(uint64_t) + 9));
    const uintptr_t start = reinterpret_cast<uintptr_t>(words.data());
    return reinterpret_cast<T*>((start + 63) / 64 * 64);
  }
};

// Some rows of one product: rows [row, row + rows), rows ≤ ROW_BLOCK.
struct RowBlock {
  const Product& product;
  size_t row;
  size_t rows;
};

// Steps [step, step + depth), depth ≤ DEPTH_BLOCK, of columns [begin, end) of some rows; their A is packed.
template <class T>
void multiply_step(const Tile<T>& tile, const ProductShape& shape, const RowBlock& block, const T* packed_a, size_t step,
                   size_t depth, size_t begin, size_t end) {
  thread_local Workspace space;
  const Operand& b = block.product.b;
  const size_t strip = b.masked == nullptr ? PANEL : STRIP;
  T* const packed_b = space.aligned<T>(strip * DEPTH_BLOCK);
  alignas(64) T sums[LARGEST_TILE];
  for (size_t column = begin; column < end; column += strip) {
    const size_t packed = std::min(strip, end - column);
    pack_columns(b, step, depth, column, packed, tile.columns, packed_b);
    for (size_t panel = 0; panel < packed; panel += PANEL) {
      const size_t past = std::min(packed, panel + PANEL);
      for (size_t top = 0; top < block.rows; top += tile.rows) {
        for (size_t left = panel; left < past; left += tile.columns) {
          tile.run(depth, packed_a + top * depth, packed_b + left * depth, sums);
          merge(shape, shape.accumulate || step > 0, sums, tile.columns,
                block.product.c + (block.row + top) * shape.columns + column + left,
                std::min(tile.rows, block.rows - top), std::min(tile.columns, past - left));
        }
      }
    }
  }
}

// Some rows of one product, `share` columns to a task. Each step's A is packed once, by the caller, for all tasks.
template <class T>
void multiply_block(const Tile<T>& tile, const ProductShape& shape, const RowBlock& block, size_t share) {
  thread_local Workspace space;
  T* const packed_a = space.aligned<T>(ROW_BLOCK * DEPTH_BLOCK);
  for (size_t step = 0; step < shape.depth; step += DEPTH_BLOCK) {
    const size_t depth = std::min(DEPTH_BLOCK, shape.depth - step);
    pack_a(block.product.a, block.row, block.rows, step, depth, tile.rows, packed_a);
    parallel_for((shape.columns + share - 1) / share, [&](size_t index) {
      const size_t begin = index * share;
      multiply_step(tile, shape, block, packed_a, step, depth, begin, std::min(shape.columns, begin + share));
    });
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
    if (b.sign == 0 && b.masked == nullptr) {
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

// How many columns a task takes, in whole panels, where `tasks` products share `work` multiply-adds: all of them when
// there are tasks enough. What takes less than some tens of microseconds is not worth waking a thread for.
size_t column_share(size_t columns, size_t tasks, size_t work) {
  constexpr size_t LEAST_WORK = 1u << 19;
  const size_t threads = pool_threads();
  const size_t wanted = std::min(4 * threads, std::max<size_t>(work / LEAST_WORK, 1));
  const size_t pieces = threads == 1 ? 1 : (wanted + tasks - 1) / tasks;
  const size_t panels = (columns + PANEL - 1) / PANEL;
  return (panels + pieces - 1) / pieces * PANEL;
}

// Computes `count` products on the thread pool.
void multiply_matrices(Tier tier, const ProductShape& shape, const Product* products, size_t count) {
  if (shape.rows == 0 || shape.columns == 0 || count == 0) return;
  if (shape.depth == 0) {
    const size_t bytes = shape.rows * shape.columns * sizeof(uint64_t);
    for (size_t i = 0; i < count && !shape.accumulate; i++) std::memset(products[i].c, 0, bytes);
    return;
  }
  const size_t work = count * shape.rows * shape.depth * shape.columns;
  if (shape.rows <= STREAM_ROWS) {
    const RowStream stream = row_stream_of(tier);
    const size_t share = column_share(shape.columns, count, work);
    const size_t shares = (shape.columns + share - 1) / share;
    return parallel_for(count * shares, [&](size_t index) {
      const size_t begin = index % shares * share;
      stream_rows(stream, shape, products[index / shares], begin, std::min(shape.columns, begin + share));
    });
  }
  const size_t row_blocks = (shape.rows + ROW_BLOCK - 1) / ROW_BLOCK;
  const size_t share = column_share(shape.columns, count * row_blocks, work);
  const auto task = [&](size_t index) {
    const size_t row = index % row_blocks * ROW_BLOCK;
    const RowBlock block{products[index / row_blocks], row, std::min(ROW_BLOCK, shape.rows - row)};
    if (is_narrow(tier, shape.ring)) return multiply_block(narrow_tile_of(tier), shape, block, share);
    return multiply_block(wide_tile_of(tier, shape.ring), shape, block, share);
  };
  const size_t tasks = count * row_blocks;
  if (share < shape.columns || work < (1u << 18)) {
    for (size_t i = 0; i < tasks; i++) task(i);
  } else {
    parallel_for(tasks, task);
  }
}

// Word kernels: element-wise arithmetic modulo 2^64, sums, products, strided copies. Included by body.hpp.

void add(const Call& call) {
  const size_t count = call.size(3);
  uint64_t* to = call.words(0, count);
  const uint64_t *a = call.words(1, count), *b = call.words(2, count);
  each(count, 24, [=](size_t i) { to[i] = a[i] + b[i]; });
}

void subtract(const Call& call) {
  const size_t count = call.size(3);
  uint64_t* to = call.words(0, count);
  const uint64_t *a = call.words(1, count), *b = call.words(2, count);
  each(count, 24, [=](size_t i) { to[i] = a[i] - b[i]; });
}

void add_word(const Call& call) {
  const size_t count = call.size(3);
  uint64_t* to = call.words(0, count);
  const uint64_t* a = call.words(1, count);
  const uint64_t word = call.raw[2];
  each(count, 16, [=](size_t i) { to[i] = a[i] + word; });
}

void multiply_word(const Call& call) {
  const size_t count = call.size(3);
  uint64_t* to = call.words(0, count);
  const uint64_t* a = call.words(1, count);
  const uint64_t word = call.raw[2];
  each(count, 16, [=](size_t i) { to[i] = a[i] * word; });
}

void shift_left(const Call& call) {
  const size_t count = call.size(3);
  uint64_t* to = call.words(0, count);
  const uint64_t* a = call.words(1, count);
  const int bits = call.small(2, 0, 63);
  each(count, 16, [=](size_t i) { to[i] = a[i] << bits; });
}

void rescale(const Call& call) {
  const size_t count = call.size(5);
  uint64_t* to = call.words(0, count);
  const uint64_t* a = call.words(1, count);
  const int ring = call.small(2, 2, 64), bits = call.small(3, 1, ring - 1);
  const uint64_t offset = call.raw[4], low = low_bits(ring);
  each(count, 16, [=](size_t i) { to[i] = ((a[i] + offset) & low) >> bits; });
}

// One thread: an owner encodes in pieces that fit its cache, and the first refused element is one for all of them.
void encode(const Call& call) {
  const size_t count = call.size(2);
  uint64_t* to = call.words(0, count);
  const uint64_t* from = call.words(1, count);
  const int fraction = call.small(3, -64, 64), ring = call.small(4, 1, 64);
  uint64_t* refused = call.words(5, 1);
  const double scale = std::ldexp(1.0, fraction), limit = std::ldexp(1.0, ring - 1);
  size_t first = count;
  for (size_t i = 0; i < count; i++) {
    double x;
    std::memcpy(&x, from + i, sizeof x);
    x *= scale;
    if (x >= -limit - 0.5 && x < limit - 0.5) {
      const int64_t towards_zero = static_cast<int64_t>(x);
      const int64_t floor = towards_zero - (x < static_cast<double>(towards_zero));
      to[i] = static_cast<uint64_t>(floor + (x - static_cast<double>(floor) >= 0.5));
    } else {
      to[i] = 0;
      first = std::min(first, i);
    }
  }
  *refused = first;
}

// The words [from, from + count) of a factor as one array: in place where there is nothing to combine, else in `space`.
const uint64_t* read_factor(const Operand& factor, size_t from, size_t count, uint64_t* space) {
  if (factor.sign == 0) return factor.at + from;
  const uint64_t *x = factor.at + from, *y = factor.other + from, mask = factor.mask;
  if (factor.sign > 0) {
    for (size_t i = 0; i < count; i++) space[i] = x[i] + y[i];
  } else if (factor.sign == -1) {
    for (size_t i = 0; i < count; i++) space[i] = x[i] - y[i];
  } else {
    for (size_t i = 0; i < count; i++) space[i] = (x[i] & mask) - 2 * y[i];
  }
  return space;
}

// Reads the four numbers of a factor of `count` words.
Operand factor_at(const Call& call, size_t index, size_t count) {
  const int sign = call.small(index + 2, -2, 1), ring = call.small(index + 3, 1, 64);
  return {call.words(index, count), sign == 0 ? nullptr : call.words(index + 1, count), sign, 0, ~0ull >> (64 - ring)};
}

void multiply_piece(uint64_t* to, const uint64_t* a, const uint64_t* b, int mode, size_t count) {
  const uint64_t sign = static_cast<uint64_t>(static_cast<int64_t>(mode));
  if (mode == 0) {
    INDEPENDENT
    for (size_t i = 0; i < count; i++) to[i] = a[i] * b[i];
  } else {
    INDEPENDENT
    for (size_t i = 0; i < count; i++) to[i] += (sign * a[i]) * b[i];
  }
}

void multiply(const Call& call) {
  const size_t count = call.size(10);
  uint64_t* to = call.words(0, count);
  const int mode = call.small(1, -1, 1);
  const Operand left = factor_at(call, 2, count), right = factor_at(call, 6, count);
  spread(count, 40, [=](size_t begin, size_t end) {
    uint64_t left_space[CHUNK], right_space[CHUNK];
    for (size_t from = begin; from < end; from += CHUNK) {
      const size_t size = std::min(CHUNK, end - from);
      const uint64_t* a = read_factor(left, from, size, left_space);
      const uint64_t* b = read_factor(right, from, size, right_space);
      multiply_piece(to + from, a, b, mode, size);
    }
  });
}

void dot(const Call& call) {
  const size_t rows = call.size(10), length = call.size(11), count = product_of(rows, length);
  uint64_t* to = call.words(0, rows);
  const int mode = call.small(1, -1, 1);
  const Operand left = factor_at(call, 2, count), right = factor_at(call, 6, count);
  parallel_ranges(rows, GRAIN / (32 * std::max<size_t>(length, 1)) + 1, 8, [=](size_t begin, size_t end) {
    uint64_t left_space[CHUNK], right_space[CHUNK];
    for (size_t row = begin; row < end; row++) {
      uint64_t sum = 0;
      for (size_t from = 0; from < length; from += CHUNK) {
        const size_t size = std::min(CHUNK, length - from), at = row * length + from;
        const uint64_t* a = read_factor(left, at, size, left_space);
        const uint64_t* b = read_factor(right, at, size, right_space);
        for (size_t i = 0; i < size; i++) sum += a[i] * b[i];
      }
      to[row] = mode == 0 ? sum : mode > 0 ? to[row] + sum : to[row] - sum;
    }
  });
}

// The words that a batch of matrices spans.
size_t span_of(size_t batch, size_t stride, size_t words) {
  return batch == 0 ? 0 : product_of(batch - 1, stride) + words;
}

// A matrix that begins at a word of a factor, `row` words a row.
Operand matrix_at(const Operand& factor, size_t word, size_t row) {
  const uint64_t* other = factor.sign == 0 ? nullptr : factor.other + word;
  return {factor.at + word, other, factor.sign, row, factor.mask};
}

void matmul(const Call& call) {
  const int mode = call.small(1, -1, 1);
  size_t batch = call.size(10);
  const size_t a_stride = call.size(11), b_stride = call.size(12);
  size_t rows = call.size(13);
  const size_t inner = call.size(14), columns = call.size(15);
  const int ring = call.small(16, 1, 64);
  const size_t a_row = call.size(17);
  if (a_row < inner) throw std::out_of_range("a row is shorter than its words");
  const size_t a_words = span_of(rows, a_row, inner), b_words = product_of(inner, columns);
  const size_t c_words = product_of(rows, columns);
  uint64_t* to = call.words(0, product_of(batch, c_words));
  const Operand a = factor_at(call, 2, span_of(batch, a_stride, a_words));
  const Operand b = factor_at(call, 6, span_of(batch, b_stride, b_words));
  if (b_stride == 0 && a_stride == rows * a_row && batch > 1) {  // one matrix B for the whole batch: stack the rows
    rows *= batch;
    batch = 1;
  }
  std::vector<Product> products;
  products.reserve(batch);
  for (size_t i = 0; i < batch; i++) {
    products.push_back({matrix_at(a, i * a_stride, a_row), matrix_at(b, i * b_stride, columns), to + i * c_words});
  }
  multiply_matrices(call.arena->tier, {rows, inner, columns, mode < 0, mode != 0, ring}, products.data(), batch);
}

// As matmul, of one matrix B of an input, whose words are made as they are packed.
void matmul_masked(const Call& call) {
  const int mode = call.small(1, -1, 1);
  const size_t rows = call.size(6), inner = call.size(7), columns = call.size(8), a_row = call.size(10);
  if (a_row < inner) throw std::out_of_range("a row is shorter than its words");
  uint64_t* to = call.words(0, product_of(rows, columns));
  const Operand a = matrix_at(factor_at(call, 2, span_of(rows, a_row, inner)), 0, a_row);
  const int bits = call.small(12, 1, 64), ring = call.small(16, 1, 64);
  const bool has_fields = call.small(13, 0, 1) == 1;
  const size_t length = packed_bytes(product_of(inner, columns), static_cast<size_t>(bits));
  const MaskedWords words{has_fields ? call.bytes(11, length) : nullptr,
                          length,
                          bits,
                          low_bits(ring),
                          &call.key(14),
                          has_fields ? nullptr : &call.key(15),
                          call.size(17),
                          call.arena->stream};
  const Product product{a, {nullptr, nullptr, 0, columns, 0, &words}, to};
  multiply_matrices(call.arena->tier, {rows, inner, columns, mode < 0, mode != 0, call.small(9, 1, 64)}, &product, 1);
}

void sum_axis(const Call& call) {
  const size_t outer = call.size(2), length = call.size(3), inner = call.size(4);
  uint64_t* to = call.words(0, product_of(outer, inner));
  const uint64_t* from = call.words(1, product_of(product_of(outer, length), inner));
  const size_t work = 8 * std::max<size_t>(product_of(length, inner), 1);
  parallel_ranges(outer, GRAIN / work + 1, 8, [=](size_t begin, size_t end) {
    for (size_t o = begin; o < end; o++) {
      const uint64_t* slab = from + o * length * inner;
      if (inner == 1) {
        uint64_t sum = 0;
        for (size_t j = 0; j < length; j++) sum += slab[j];
        to[o] = sum;
        continue;
      }
      uint64_t* row = to + o * inner;
      for (size_t i = 0; i < inner; i++) row[i] = 0;
      for (size_t j = 0; j < length; j++) {
        for (size_t i = 0; i < inner; i++) row[i] += slab[j * inner + i];
      }
    }
  });
}

void suffix_sum(const Call& call) {
  const size_t rows = call.size(1), length = call.size(2);
  uint64_t* to = call.words(0, product_of(rows, length));
  spread(rows, 8 * std::max<size_t>(length, 1), [=](size_t begin, size_t end) {
    for (size_t row = begin; row < end; row++) {
      uint64_t sum = 0;
      for (size_t v = length; v-- > 0;) to[row * length + v] = sum += to[row * length + v];
    }
  });
}

void put(const Call& call) {
  const std::vector<int32_t>& halves = call.list(0);
  if (halves.size() % 2 != 0) throw std::out_of_range("a word has two halves");
  std::memcpy(call.words(0, halves.size() / 2), halves.data(), halves.size() * sizeof(int32_t));
}

void copy(const Call& call) {
  const size_t bytes = call.size(2);
  if (bytes > 0) std::memmove(call.bytes(0, bytes), call.bytes(1, bytes), bytes);
}

void zero(const Call& call) {
  const size_t bytes = call.size(1);
  if (bytes > 0) std::memset(call.bytes(0, bytes), 0, bytes);
}

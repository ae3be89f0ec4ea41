// The counters of the coarse maximum. Included by body.hpp after body_packing.hpp.

struct Coarse {
  const uint64_t* m;
  const uint8_t* fields;
  size_t bits;
  int ring;
  int width;
  size_t count;

  // The public digit of element i.
  size_t digit(size_t i) const {
    return static_cast<size_t>(((m[i] + (1ull << (ring - 1))) & low_bits(ring)) >> (ring - width));
  }
};

// sums[u] += fields[(digit + u) mod size].
void add_rotated(const uint64_t* fields, size_t digit, size_t size, uint64_t* sums) {
  for (size_t u = 0; u < size; u++) sums[u] += fields[(digit + u) & (size - 1)];
}

constexpr size_t LARGEST_HOT = size_t{1} << WIDEST;

// Counter v of a row gains sum (−v) mod size.
template <class S>
void add_sums(const S* sums, size_t size, uint64_t* to) {
  for (size_t v = 0; v < size; v++) to[v] += sums[(size - v) & (size - 1)];
}

// Adds elements [from, until) to one row's counters, fields of eight bits: 256 of them fit a 16-bit sum. Writing an
// element's fields twice makes the rotation a plain offset; SIZE, where it is not 0, lets the compiler see the length.
template <size_t SIZE>
void add_row_bytes(const Coarse& coarse, size_t from, size_t until, uint64_t* to) {
  const size_t size = SIZE != 0 ? SIZE : size_t{1} << coarse.width;
  uint16_t sums[LARGEST_HOT];
  uint8_t twice[4][2 * LARGEST_HOT];  // taking turns, so that one element's loads do not wait for another's stores
  for (size_t at = from; at < until; at += 256) {
    std::fill_n(sums, size, 0);
    const size_t end = std::min(until, at + 256);
    for (size_t i = at; i < end; i++) {
      uint8_t* fields = twice[i % 4];
      std::memcpy(fields, coarse.fields + i * size, size);
      std::memcpy(fields + size, coarse.fields + i * size, size);
      const uint8_t* rotated = fields + coarse.digit(i);
      for (size_t u = 0; u < size; u++) sums[u] = static_cast<uint16_t>(sums[u] + rotated[u]);
    }
    add_sums(sums, size, to);
  }
}

// The same for fields of any size, unpacked eight elements at a time into `fields`.
void add_row(const Coarse& coarse, size_t from, size_t until, uint64_t* to, uint64_t* fields) {
  const size_t size = size_t{1} << coarse.width;
  uint64_t sums[LARGEST_HOT];
  std::fill_n(sums, size, 0);
  for (size_t group = from / 8 * 8; group < until; group += 8) {
    const size_t elements = std::min<size_t>(8, coarse.count - group);
    unpack_section(coarse.bits, coarse.fields + group / 8 * size * coarse.bits, elements * size, fields);
    for (size_t i = std::max(from, group); i < std::min(until, group + 8); i++) {
      add_rotated(fields + (i - group) * size, coarse.digit(i), size, sums);
    }
  }
  add_sums(sums, size, to);
}

// The row of the last element, for the bounds check.
size_t last_row(size_t last, const std::vector<int32_t>& segments, size_t length) {
  size_t row = last / length * segments.size(), rest = last % length;
  for (const int32_t segment : segments) {
    if (rest < static_cast<size_t>(segment)) break;
    rest -= static_cast<size_t>(segment);
    row++;
  }
  return row;
}

void coarse_accumulate(const Call& call) {
  const size_t first = call.size(7), count = call.size(8);
  const int ring = call.small(4, 1, 64), width = call.small(5, 1, std::min(WIDEST, ring));
  const size_t bits = static_cast<size_t>(call.small(3, 1, 64)), size = size_t{1} << width;
  const std::vector<int32_t>& segments = call.list(0);
  size_t length = 0;
  for (const int32_t segment : segments) {
    if (segment < 0) throw std::out_of_range("a segment is negative");
    length += static_cast<size_t>(segment);
  }
  if (length == 0 || first + count > static_cast<size_t>(Call::LARGEST)) throw std::out_of_range("no rows to count in");
  if (count == 0) return;
  const uint8_t* fields = call.bytes(2, packed_bytes(product_of(count, size), bits));
  const Coarse coarse{call.words(1, count), fields, bits, ring, width, count};
  uint64_t* to = call.words(0, product_of(last_row(first + count - 1, segments, length) + 1, size));
  const size_t cycle = first / length, cycles = (first + count - 1) / length + 1 - cycle;
  parallel_ranges(cycles, GRAIN / (length * size * 4) + 1, 1, [&](size_t begin, size_t end) {
    std::vector<uint64_t> space(coarse.bits == 8 ? 0 : 8 * size);
    for (size_t c = cycle + begin; c < cycle + end; c++) {
      size_t at = c * length;
      for (size_t row = 0; row < segments.size(); at += static_cast<size_t>(segments[row++])) {
        const size_t from = std::max(at, first);
        const size_t until = std::min(at + static_cast<size_t>(segments[row]), first + count);
        uint64_t* counters = to + (c * segments.size() + row) * size;
        if (from >= until) continue;
        if (coarse.bits == 8) {
          const auto add = width == 5 ? add_row_bytes<32> : width == 4 ? add_row_bytes<16> : add_row_bytes<0>;
          add(coarse, from - first, until - first, counters);
        } else {
          add_row(coarse, from - first, until - first, counters, space.data());
        }
      }
    }
  });
}

// Wire kernels: packed sections to words, bits and hot elements, and back. Included by body.hpp after body_packing.hpp.
//
// Ranges that are cut over the pool start at multiples of 64 elements, so every one starts on a byte of its section.

// A section that is packed in its own place is packed by one thread: it then never overtakes what it still reads.
template <class F>
void spread_apart(const void* to, const void* from, size_t count, size_t cost, F&& body) {
  if (to == from) {
    if (count > 0) body(size_t{0}, count);
  } else {
    spread(count, cost, body);
  }
}

void pack_words(const Call& call) {
  const size_t count = call.size(1);
  const int bits = call.small(2, 1, 64);
  const uint64_t* from = call.words(0, count);
  uint8_t* to = call.bytes(3, packed_bytes(count, static_cast<size_t>(bits)));
  spread_apart(to, from, count, 16, [=](size_t begin, size_t end) {
    PACK[bits - 1](from + begin, end - begin, to + begin / 8 * static_cast<size_t>(bits));
  });
}

void unpack_words(const Call& call) {
  const size_t count = call.size(1);
  const int bits = call.small(2, 1, 64);
  const uint8_t* from = call.bytes(0, packed_bytes(count, static_cast<size_t>(bits)));
  uint64_t* to = call.words(3, count);
  spread(count, 16, [=](size_t begin, size_t end) {
    unpack_section(bits, from + begin / 8 * static_cast<size_t>(bits), end - begin, to + begin);
  });
}

void unpack_add(const Call& call) {
  const size_t count = call.size(1);
  const int bits = call.small(2, 1, 64), shift = call.small(4, 0, 63);
  const uint8_t* from = call.bytes(0, packed_bytes(count, static_cast<size_t>(bits)));
  uint64_t* to = call.words(3, count);
  spread(count, 24, [=](size_t begin, size_t end) {
    uint64_t fields[CHUNK];
    for (size_t at = begin; at < end; at += CHUNK) {
      const size_t size = std::min(CHUNK, end - at);
      unpack_section(bits, from + at / 8 * static_cast<size_t>(bits), size, fields);
      add_shifted(to + at, fields, shift, size);
    }
  });
}

void pack_bits(const Call& call) {
  const size_t count = call.size(1);
  const uint8_t* from = call.bytes(0, count);
  uint8_t* to = call.bytes(2, packed_bytes(count, 1));
  spread_apart(to, from, count, 2, [=](size_t begin, size_t end) {
    gather_bits(from + begin, end - begin, to + begin / 8);
  });
}

void unpack_bits(const Call& call) {
  const size_t count = call.size(1);
  const uint8_t* from = call.bytes(0, packed_bytes(count, 1));
  uint8_t* to = call.bytes(2, count);
  spread(count, 2, [=](size_t begin, size_t end) { scatter_bits(from + begin / 8, end - begin, to + begin); });
}

void unpack_xor(const Call& call) {
  const size_t count = call.size(1);
  const uint8_t* from = call.bytes(0, packed_bytes(count, 1));
  uint8_t* to = call.bytes(2, count);
  spread(count, 3, [=](size_t begin, size_t end) {
    uint8_t bits[CHUNK];
    for (size_t at = begin; at < end; at += CHUNK) {
      const size_t size = std::min(CHUNK, end - at);
      scatter_bits(from + at / 8, size, bits);
      xor_into(to + at, bits, size);
    }
  });
}

// Hot elements of 2 or 4 entries, packed, to a byte each.
void scatter_hot(const uint8_t* from, size_t count, int width, uint8_t* to) {
  const size_t size = size_t{1} << width, per_byte = 8 / size;
  const uint8_t low = static_cast<uint8_t>((1u << size) - 1);
  for (size_t i = 0; i < count; i++) to[i] = static_cast<uint8_t>(from[i / per_byte] >> (i % per_byte * size)) & low;
}

void unpack_hot(const Call& call) {
  const size_t count = call.size(1);
  const int width = call.small(2, 1, WIDEST);
  const size_t bytes = packed_bytes(count, size_t{1} << width);
  const uint8_t* from = call.bytes(0, bytes);
  uint8_t* to = call.bytes(3, product_of(count, hot_bytes(width)));
  if (width < 3) {
    scatter_hot(from, count, width, to);
  } else if (bytes > 0) {
    std::memmove(to, from, bytes);
  }
}

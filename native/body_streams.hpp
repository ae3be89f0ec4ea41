// Stream kernels: masks from a pair's AES stream, made in pieces that stay in the first-level cache and used at once.
// Included by body.hpp after body_wire.hpp.

constexpr size_t PIECE = 8 * CHUNK;  // stream bytes made at a time

// Stream bytes [at, at + size) of a draw; `at` is a multiple of 16.
void draw(const Call& call, const RoundKeys& keys, uint64_t block, size_t at, size_t size, void* to) {
  stream_bytes(call.arena->stream, keys, block + at / 16, static_cast<uint8_t*>(to), size);
}

void fill_bytes_at(const Call& call, size_t bytes) {
  const RoundKeys& keys = call.key(0);
  const uint64_t block = call.size(1);
  uint8_t* to = call.bytes(2, bytes);
  spread(bytes, 1, [&](size_t begin, size_t end) { draw(call, keys, block, begin, end - begin, to + begin); });
}

void fill_bytes(const Call& call) { fill_bytes_at(call, call.size(3)); }

void fill_words(const Call& call) {
  const size_t count = call.size(3);
  call.words(2, count);
  fill_bytes_at(call, product_of(count, 8));
}

void add_stream(const Call& call) {
  const RoundKeys& keys = call.key(0);
  const uint64_t block = call.size(1);
  const size_t count = call.size(3);
  uint64_t* to = call.words(2, count);
  spread(count, 16, [&](size_t begin, size_t end) {
    uint64_t random[CHUNK];
    for (size_t at = begin; at < end; at += CHUNK) {
      const size_t size = std::min(CHUNK, end - at);
      draw(call, keys, block, 8 * at, 8 * size, random);
      add_into(to + at, random, size);
    }
  });
}

// Bits and hot elements: ranges start at multiples of 128 elements, a whole block.
void fill_bits(const Call& call) {
  const RoundKeys& keys = call.key(0);
  const uint64_t block = call.size(1);
  const size_t count = call.size(3);
  uint8_t* to = call.bytes(2, count);
  parallel_ranges(count, GRAIN, 128, [&](size_t begin, size_t end) {
    uint8_t random[PIECE];
    for (size_t at = begin; at < end; at += 8 * PIECE) {
      const size_t size = std::min(8 * PIECE, end - at);
      draw(call, keys, block, at / 8, (size + 7) / 8, random);
      scatter_bits(random, size, to + at);
    }
  });
}

void fill_hot(const Call& call) {
  const size_t count = call.size(3);
  const int width = call.small(4, 1, WIDEST);
  if (width >= 3) return fill_bytes_at(call, product_of(count, hot_bytes(width)));
  const RoundKeys& keys = call.key(0);
  const uint64_t block = call.size(1);
  uint8_t* to = call.bytes(2, count);
  const size_t per_byte = size_t{8} >> width;
  uint8_t random[PIECE];
  for (size_t at = 0; at < count; at += per_byte * PIECE) {
    const size_t size = std::min(per_byte * PIECE, count - at);
    draw(call, keys, block, at / per_byte, (size + per_byte - 1) / per_byte, random);
    scatter_hot(random, size, width, to + at);
  }
}

void deal_words(const Call& call) {
  const RoundKeys& keys = call.key(0);
  const uint64_t block = call.size(1);
  const size_t count = call.size(3);
  const int bits = call.small(4, 1, 64), drop = call.small(5, 0, 64 - bits);
  const uint64_t* from = call.words(2, count);
  uint8_t* to = call.bytes(6, packed_bytes(count, static_cast<size_t>(bits)));
  spread_apart(to, from, count, 24, [&](size_t begin, size_t end) {
    uint64_t random[CHUNK];
    for (size_t at = begin; at < end; at += CHUNK) {
      const size_t size = std::min(CHUNK, end - at);
      draw(call, keys, block, 8 * at, 8 * size, random);
      subtract_from(random, from + at, size);
      if (drop > 0) shift_right(random, drop, size);
      PACK[bits - 1](random, size, to + at / 8 * static_cast<size_t>(bits));
    }
  });
}

void borrow(const Call& call) {
  const RoundKeys& keys = call.key(0);
  const uint64_t block = call.size(1);
  const size_t count = call.size(4);
  uint64_t* to = call.words(2, count);
  const uint64_t* from = call.words(3, count);
  spread(count, 32, [&](size_t begin, size_t end) {
    uint64_t random[CHUNK];
    for (size_t at = begin; at < end; at += CHUNK) {
      const size_t size = std::min(CHUNK, end - at);
      draw(call, keys, block, 8 * at, 8 * size, random);
      for (size_t i = 0; i < size; i++) to[at + i] -= from[at + i] < random[i] ? 1 : 0;
    }
  });
}

void deal_bits(const Call& call) {
  const RoundKeys& keys = call.key(0);
  const uint64_t block = call.size(1);
  const size_t count = call.size(3);
  const uint8_t* from = call.bytes(2, count);
  uint8_t* to = call.bytes(4, packed_bytes(count, 1));
  uint8_t random[PIECE], packed[PIECE];
  for (size_t at = 0; at < count; at += 8 * PIECE) {
    const size_t size = std::min(8 * PIECE, count - at), bytes = (size + 7) / 8;
    draw(call, keys, block, at / 8, bytes, random);
    gather_bits(from + at, size, packed);
    if (size % 8 != 0) random[bytes - 1] = static_cast<uint8_t>(random[bytes - 1] & ((1u << (size % 8)) - 1));
    xor_into(packed, random, bytes);
    std::memcpy(to + at / 8, packed, bytes);
  }
}

// The digits of mask1 + mask2 that P0 deals.
struct SecretDigit {
  const uint64_t* mask1;
  const uint64_t* mask2;
  int at;
  uint64_t low;

  uint64_t of(size_t i) const { return ((mask1[i] + mask2[i]) >> at) & low; }
};

// Flips one bit of every element; the element's address does not depend on the digit.
template <class T>
void flip_hot(uint8_t* to, const SecretDigit& digit, size_t begin, size_t end) {
  for (size_t i = begin; i < end; i++) {
    T value;
    std::memcpy(&value, to + i * sizeof(T), sizeof(T));
    value = static_cast<T>(value ^ (static_cast<T>(1) << digit.of(i)));
    std::memcpy(to + i * sizeof(T), &value, sizeof(T));
  }
}

void flip_hot_wide(uint8_t* to, const SecretDigit& digit, size_t words, size_t begin, size_t end) {
  for (size_t i = begin; i < end; i++) {
    const uint64_t chosen = digit.of(i), bit = 1ull << (chosen & 63);
    for (size_t word = 0; word < words; word++) {
      uint8_t* at = to + 8 * (i * words + word);
      uint64_t value;
      std::memcpy(&value, at, 8);
      value ^= (word == chosen >> 6) ? bit : 0;
      std::memcpy(at, &value, 8);
    }
  }
}

// Hot elements of 2 or 4 entries: several in a byte.
void deal_hot_narrow(const Call& call, const SecretDigit& digit, size_t count, int width, uint8_t* to) {
  const size_t entries = size_t{1} << width, per_byte = 8 / entries, bytes = packed_bytes(count, entries);
  draw(call, call.key(0), call.size(1), 0, bytes, to);
  if (count % per_byte != 0) {
    to[bytes - 1] = static_cast<uint8_t>(to[bytes - 1] & ((1u << (count % per_byte * entries)) - 1));
  }
  for (size_t i = 0; i < count; i++) {
    const uint8_t bit = static_cast<uint8_t>(1u << digit.of(i));
    to[i / per_byte] = static_cast<uint8_t>(to[i / per_byte] ^ (bit << (i % per_byte * entries)));
  }
}

void deal_hot(const Call& call) {
  const size_t count = call.size(4);
  const int at = call.small(5, 0, 63), width = call.small(6, 1, WIDEST);
  const SecretDigit digit{call.words(2, count), call.words(3, count), at, low_bits(width)};
  uint8_t* to = call.bytes(7, packed_bytes(count, size_t{1} << width));
  const RoundKeys& keys = call.key(0);
  const uint64_t block = call.size(1);
  if (width < 3) {
    if (count > 0) deal_hot_narrow(call, digit, count, width, to);
    return;
  }
  const size_t size = hot_bytes(width);
  spread(count, 16 + size, [&](size_t begin, size_t end) {
    draw(call, keys, block, begin * size, (end - begin) * size, to + begin * size);
    if (width == 3) return flip_hot<uint8_t>(to, digit, begin, end);
    if (width == 4) return flip_hot<uint16_t>(to, digit, begin, end);
    if (width == 5) return flip_hot<uint32_t>(to, digit, begin, end);
    flip_hot_wide(to, digit, size / 8, begin, end);
  });
}

// Counters of eight bits: [digit = j] minus a stream byte is a byte.
void deal_counter_bytes(const SecretDigit& digit, size_t entries, const uint8_t* random, size_t from, size_t count,
                        uint8_t* to) {
  for (size_t i = 0; i < count; i++) {
    const uint16_t chosen = static_cast<uint16_t>(digit.of(from + i));
    for (size_t j = 0; j < entries; j++) {
      to[i * entries + j] = static_cast<uint8_t>((j == chosen ? 1 : 0) - random[i * entries + j]);
    }
  }
}

template <class T>
void deal_counter_words(const SecretDigit& digit, size_t entries, const uint8_t* random, size_t from, size_t count,
                        uint64_t* fields) {
  for (size_t i = 0; i < count; i++) {
    const uint64_t chosen = digit.of(from + i);
    for (size_t j = 0; j < entries; j++) {
      T mask;
      std::memcpy(&mask, random + (i * entries + j) * sizeof(T), sizeof(T));
      fields[i * entries + j] = (j == chosen ? 1ull : 0ull) - mask;
    }
  }
}

void deal_coarse(const Call& call) {
  const size_t count = call.size(4);
  const int ring = call.small(5, 1, 64), width = call.small(6, 1, std::min(WIDEST, ring));
  const int counter = call.small(7, 1, 16);
  const size_t entries = size_t{1} << width, step = counter <= 8 ? 1 : 2;
  const SecretDigit digit{call.words(2, count), call.words(3, count), ring - width, low_bits(width)};
  uint8_t* to = call.bytes(8, packed_bytes(product_of(count, entries), static_cast<size_t>(counter)));
  const RoundKeys& keys = call.key(0);
  const uint64_t block = call.size(1);
  constexpr size_t FIELDS = 8192;  // at a time: whole bytes and whole blocks
  const size_t group = FIELDS / entries;
  spread(count, 16 + entries * step, [&](size_t begin, size_t end) {
    std::vector<uint8_t> random(FIELDS * step);
    std::vector<uint64_t> fields(counter == 8 ? 0 : FIELDS);
    for (size_t at = begin; at < end; at += group) {
      const size_t size = std::min(group, end - at);
      draw(call, keys, block, at * entries * step, size * entries * step, random.data());
      uint8_t* out = to + at * entries / 8 * static_cast<size_t>(counter);
      if (counter == 8) {
        deal_counter_bytes(digit, entries, random.data(), at, size, out);
        continue;
      }
      (step == 1 ? deal_counter_words<uint8_t> : deal_counter_words<uint16_t>)(digit, entries, random.data(), at, size,
                                                                              fields.data());
      PACK[counter - 1](fields.data(), size * entries, out);
    }
  });
}

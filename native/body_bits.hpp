// Bit kernels: Boolean arithmetic on bits that take a byte each, and look-ups in hot elements. Included by body.hpp.
//
// A look-up's address depends only on public digits; the shared one-hot entries are combined without branches.

void exclusive_or(const Call& call) {
  const size_t count = call.size(3);
  uint8_t* to = call.bytes(0, count);
  const uint8_t *a = call.bytes(1, count), *b = call.bytes(2, count);
  each(count, 3, [=](size_t i) { to[i] = a[i] ^ b[i]; });
}

void and_bits(const Call& call) {
  const size_t count = call.size(3);
  uint8_t* to = call.bytes(0, count);
  const uint8_t *a = call.bytes(1, count), *b = call.bytes(2, count);
  each(count, 3, [=](size_t i) { to[i] = a[i] & b[i]; });
}

void complement(const Call& call) {
  const size_t count = call.size(2);
  uint8_t* to = call.bytes(0, count);
  const uint8_t* a = call.bytes(1, count);
  each(count, 2, [=](size_t i) { to[i] = a[i] ^ 1; });
}

void sum_bit(const Call& call) {
  const size_t count = call.size(4);
  uint8_t* to = call.bytes(0, count);
  const uint64_t *a = call.words(1, count), *b = call.words(2, count);
  const int bit = call.small(3, 0, 63);
  each(count, 17, [=](size_t i) { to[i] = static_cast<uint8_t>(((a[i] + b[i]) >> bit) & 1); });
}

void word_bit(const Call& call) {
  const size_t count = call.size(4);
  uint8_t* to = call.bytes(0, count);
  const uint64_t* from = call.words(1, count);
  const uint64_t offset = call.signed_word(2);
  const int bit = call.small(3, 0, 63);
  each(count, 9, [=](size_t i) { to[i] = static_cast<uint8_t>(((from[i] + offset) >> bit) & 1); });
}

void bit_words(const Call& call) {
  const size_t count = call.size(3);
  uint64_t* to = call.words(0, count);
  const uint8_t *a = call.bytes(1, count), *b = call.bytes(2, count);
  each(count, 10, [=](size_t i) { to[i] = a[i] ^ b[i]; });
}

// The public digit of a look-up.
struct Digit {
  uint64_t offset;
  uint64_t ring;
  int at;
  uint64_t low;

  size_t of(uint64_t word) const { return static_cast<size_t>((((word + offset) & ring) >> at) & low); }
};

struct Look {
  Digit digit;
  int width;
};

// Reads ring, at, width, offset from number `index` on.
Look look_at(const Call& call, size_t index) {
  const int ring = call.small(index, 1, 64), at = call.small(index + 1, 0, 63), width = call.small(index + 2, 1, WIDEST);
  return {{call.signed_word(index + 3), low_bits(ring), at, low_bits(width)}, width};
}

size_t hot_bytes(int width) { return width < 3 ? 1 : size_t{1} << (width - 3); }

uint64_t parity(uint64_t x) { return static_cast<uint64_t>(__builtin_parityll(x)); }

// The parity of an element of so many bytes, in steps that compilers do to many elements at once.
template <size_t BYTES>
uint64_t hot_parity(uint64_t x) {
  if (BYTES > 4) x ^= x >> 32;
  if (BYTES > 2) x ^= x >> 16;
  if (BYTES > 1) x ^= x >> 8;
  x ^= x >> 4;
  x ^= x >> 2;
  return (x ^ (x >> 1)) & 1;
}

// For hot elements of at most 64 entries, one in each T: the parity of those that `chosen` keeps, by the word beside.
template <class T, class F>
void look_up(uint8_t* to, const uint8_t* hot, const uint64_t* m, size_t begin, size_t end, const F& chosen) {
  constexpr size_t PIECE = 64;
  const F kept = chosen;
  T elements[PIECE];
  uint8_t found[PIECE];
  for (size_t i = begin; i < end; i += PIECE) {
    const size_t count = std::min(PIECE, end - i);
    std::memcpy(elements, hot + i * sizeof(T), count * sizeof(T));
    const uint64_t* words = m + i;
    for (size_t j = 0; j < count; j++) {
      found[j] = static_cast<uint8_t>(hot_parity<sizeof(T)>(elements[j] & kept(words[j])));
    }
    std::memcpy(to + i, found, count);
  }
}

// XOR of the entries [low, high) of a hot element of 64·n entries.
uint64_t range_parity(const uint8_t* hot, size_t low, size_t high) {
  uint64_t sum = 0;
  for (size_t word = low / 64; 64 * word < high; word++) {
    const size_t from = std::max(low, 64 * word) - 64 * word, to = std::min(high, 64 * word + 64) - 64 * word;
    const uint64_t below = to == 64 ? ~0ull : (1ull << to) - 1;
    uint64_t entries;
    std::memcpy(&entries, hot + 8 * word, sizeof(entries));
    sum ^= entries & below & ~((1ull << from) - 1);
  }
  return parity(sum);
}

template <class T>
void less_of(uint8_t* to, const uint8_t* hot, const uint64_t* m, const Look& look, size_t begin, size_t end) {
  const uint64_t entries = low_bits(1 << look.width), above = entries & ~1ull;
  const Digit digit = look.digit;
  look_up<T>(to, hot, m, begin, end, [=](uint64_t word) { return (above << digit.of(word)) & entries; });
}

void hot_less(const Call& call) {
  const size_t count = call.size(7);
  const Look look = look_at(call, 3);
  uint8_t* to = call.bytes(0, count);
  const uint8_t* hot = call.bytes(1, product_of(count, hot_bytes(look.width)));
  const uint64_t* m = call.words(2, count);
  spread(count, 32, [=](size_t begin, size_t end) {
    if (look.width <= 3) return less_of<uint8_t>(to, hot, m, look, begin, end);
    if (look.width == 4) return less_of<uint16_t>(to, hot, m, look, begin, end);
    if (look.width == 5) return less_of<uint32_t>(to, hot, m, look, begin, end);
    if (look.width == 6) return less_of<uint64_t>(to, hot, m, look, begin, end);
    const size_t size = hot_bytes(look.width);
    for (size_t i = begin; i < end; i++) {
      to[i] = static_cast<uint8_t>(range_parity(hot + i * size, look.digit.of(m[i]) + 1, 8 * size));
    }
  });
}

// XOR of `span` entries that end at entry (d − from), cyclically: those j with (d − j − from) mod 2^width < span.
template <class T>
void within_of(uint8_t* to, const uint8_t* hot, const uint64_t* m, const Look& look, size_t from, size_t span,
               size_t begin, size_t end) {
  const size_t size = size_t{1} << look.width;
  const uint64_t entries = low_bits(static_cast<int>(size)), window = span == 0 ? 0 : low_bits(static_cast<int>(span));
  const Digit digit = look.digit;
  look_up<T>(to, hot, m, begin, end, [=](uint64_t word) {
    const size_t first = (digit.of(word) - from - span + 1) & (size - 1);
    return ((window << first) | ((window >> 1) >> (size - 1 - first))) & entries;
  });
}

void hot_within(const Call& call) {
  const size_t count = call.size(9);
  const Look look = look_at(call, 3);
  const size_t entries = size_t{1} << look.width;
  const size_t from = static_cast<size_t>(call.signed_word(7)) & (entries - 1);
  const size_t span = static_cast<size_t>(call.integer(8, 0, static_cast<int64_t>(entries)));
  uint8_t* to = call.bytes(0, count);
  const uint8_t* hot = call.bytes(1, product_of(count, hot_bytes(look.width)));
  const uint64_t* m = call.words(2, count);
  spread(count, 32, [=](size_t begin, size_t end) {
    if (look.width <= 3) return within_of<uint8_t>(to, hot, m, look, from, span, begin, end);
    if (look.width == 4) return within_of<uint16_t>(to, hot, m, look, from, span, begin, end);
    if (look.width == 5) return within_of<uint32_t>(to, hot, m, look, from, span, begin, end);
    if (look.width == 6) return within_of<uint64_t>(to, hot, m, look, from, span, begin, end);
    for (size_t i = begin; i < end; i++) {
      const uint8_t* element = hot + i * hot_bytes(look.width);
      const size_t first = (look.digit.of(m[i]) - from - span + 1) & (entries - 1), last = first + span;
      const uint64_t wrapped = last > entries ? range_parity(element, 0, last - entries) : 0;
      to[i] = static_cast<uint8_t>(range_parity(element, first, std::min(last, entries)) ^ wrapped);
    }
  });
}

// One thread: rows may be cut anywhere, and a combination is a few instructions for each bit.
void combine_bits(const Call& call) {
  const size_t first = call.size(3), length = std::max<size_t>(call.size(4), 1), count = call.size(6);
  const size_t bits = static_cast<size_t>(call.small(5, 1, 64));
  if (count == 0) return;
  uint8_t* to = call.bytes(0, product_of((first + count - 1) / length + 1, bits));
  const uint8_t* from = call.bytes(1, count);
  const uint64_t* words = call.words(2, count);
  for (size_t i = 0; i < count;) {
    const size_t row = (first + i) / length, end = std::min(count, (row + 1) * length - first);
    uint64_t sum = 0;
    for (; i < end; i++) sum ^= words[i] & (0 - static_cast<uint64_t>(from[i]));
    for (size_t j = 0; j < bits; j++) to[row * bits + j] ^= static_cast<uint8_t>((sum >> j) & 1);
  }
}

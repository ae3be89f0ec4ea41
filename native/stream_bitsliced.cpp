// AES without AES instructions, bitsliced (after Biham, "A fast new DES implementation in software", 1997): bit b of
// 128 bytes lies in one vector, so every step is a Boolean formula and nothing secret chooses an address or a branch.
//
// Bytes are numbered as they lie in memory: byte 4·column + row of a block, eight blocks at a time. The S-box is
// written from its definition, x^254 in GF(2^8) and an affine map (FIPS 197, section 5.1.1): slow beside AES
// instructions, but it only runs where there are none.
#include <cstring>

#include "stream.hpp"

namespace pumac {

namespace {

constexpr size_t BATCH_BLOCKS = 8;
constexpr size_t BATCH_BYTES = 16 * BATCH_BLOCKS;

typedef uint64_t Plane __attribute__((vector_size(16)));

struct Planes {
  Plane bit[8];
};

// The 8 × 8 bit matrix in a word (byte i, bit j), transposed: three exchanges of ever larger squares.
uint64_t transpose_bits(uint64_t x) {
  uint64_t t = (x ^ (x >> 7)) & 0x00aa00aa00aa00aaull;
  x ^= t ^ (t << 7);
  t = (x ^ (x >> 14)) & 0x0000cccc0000ccccull;
  x ^= t ^ (t << 14);
  t = (x ^ (x >> 28)) & 0x00000000f0f0f0f0ull;
  return x ^ t ^ (t << 28);
}

void to_planes(const uint8_t* bytes, Planes& planes) {
  uint8_t rows[8][BATCH_BYTES / 8];
  for (size_t i = 0; i < BATCH_BYTES / 8; i++) {
    uint64_t word;
    std::memcpy(&word, bytes + 8 * i, 8);
    word = transpose_bits(word);
    for (int b = 0; b < 8; b++) rows[b][i] = static_cast<uint8_t>(word >> (8 * b));
  }
  std::memcpy(planes.bit, rows, sizeof rows);
}

void from_planes(const Planes& planes, uint8_t* bytes) {
  uint8_t rows[8][BATCH_BYTES / 8];
  std::memcpy(rows, planes.bit, sizeof rows);
  for (size_t i = 0; i < BATCH_BYTES / 8; i++) {
    uint64_t word = 0;
    for (int b = 0; b < 8; b++) word |= static_cast<uint64_t>(rows[b][i]) << (8 * b);
    word = transpose_bits(word);
    std::memcpy(bytes + 8 * i, &word, 8);
  }
}

// Reduces a polynomial of degree 14 by x^8 = x^4 + x^3 + x + 1.
void reduce(Plane c[15], Planes& out) {
  for (int i = 14; i >= 8; i--) {
    c[i - 8] ^= c[i];
    c[i - 7] ^= c[i];
    c[i - 5] ^= c[i];
    c[i - 4] ^= c[i];
  }
  for (int i = 0; i < 8; i++) out.bit[i] = c[i];
}

void multiply(const Planes& a, const Planes& b, Planes& out) {
  Plane c[15] = {};
  for (int i = 0; i < 8; i++) {
    for (int j = 0; j < 8; j++) c[i + j] ^= a.bit[i] & b.bit[j];
  }
  reduce(c, out);
}

void square(const Planes& a, Planes& out) {
  Plane c[15] = {};
  for (int i = 0; i < 8; i++) c[2 * i] = a.bit[i];
  reduce(c, out);
}

void substitute(Planes& x) {
  Planes x2, x3, x12, x15, x240;
  square(x, x2);
  multiply(x, x2, x3);
  square(x3, x12);
  square(x12, x12);
  multiply(x3, x12, x15);
  square(x15, x240);
  for (int i = 0; i < 3; i++) square(x240, x240);
  Planes inverse;
  multiply(x240, x12, inverse);
  multiply(inverse, x2, inverse);
  for (int i = 0; i < 8; i++) {
    const Plane sum = inverse.bit[i] ^ inverse.bit[(i + 4) & 7] ^ inverse.bit[(i + 5) & 7] ^ inverse.bit[(i + 6) & 7] ^
                      inverse.bit[(i + 7) & 7];
    x.bit[i] = ((0x63 >> i) & 1) != 0 ? ~sum : sum;
  }
}

// Row r of each block (bits r, r + 4, r + 8, r + 12 of sixteen) moves r columns to the left.
void shift_rows(Planes& x) {
  constexpr uint64_t LANES = 0x0001000100010001ull;
  for (Plane& plane : x.bit) {
    Plane moved = plane & (0x1111 * LANES);
    moved |= ((plane >> 4) & (0x0222 * LANES)) | ((plane << 12) & (0x2000 * LANES));
    moved |= ((plane >> 8) & (0x0044 * LANES)) | ((plane << 8) & (0x4400 * LANES));
    moved |= ((plane >> 12) & (0x0008 * LANES)) | ((plane << 4) & (0x8880 * LANES));
    plane = moved;
  }
}

// The next byte of the same column, cyclically.
Plane below(const Plane& x) { return ((x >> 1) & 0x7777777777777777ull) | ((x << 3) & 0x8888888888888888ull); }

void mix_columns(Planes& x) {
  Planes next, sum;  // a_{r+1}; a_r + a_{r+1}
  for (int i = 0; i < 8; i++) {
    next.bit[i] = below(x.bit[i]);
    sum.bit[i] = x.bit[i] ^ next.bit[i];
  }
  for (int i = 0; i < 8; i++) {
    Plane twice = sum.bit[(i + 7) & 7];
    if (i == 1 || i == 3 || i == 4) twice ^= sum.bit[7];
    x.bit[i] = twice ^ next.bit[i] ^ below(below(sum.bit[i]));
  }
}

void add(Planes& x, const Planes& key) {
  for (int i = 0; i < 8; i++) x.bit[i] ^= key.bit[i];
}

}  // namespace

void substitute_bytes(uint8_t* bytes, size_t count) {
  uint8_t buffer[BATCH_BYTES] = {};
  std::memcpy(buffer, bytes, count);
  Planes planes;
  to_planes(buffer, planes);
  substitute(planes);
  from_planes(planes, buffer);
  std::memcpy(bytes, buffer, count);
}

void blocks_bitsliced(const RoundKeys& keys, uint64_t block, uint8_t* out, size_t blocks) {
  Planes round_keys[11];
  uint8_t buffer[BATCH_BYTES];
  for (int round = 0; round < 11; round++) {
    for (size_t i = 0; i < BATCH_BLOCKS; i++) std::memcpy(buffer + 16 * i, keys.bytes + 16 * round, 16);
    to_planes(buffer, round_keys[round]);
  }
  for (size_t done = 0; done < blocks; done += BATCH_BLOCKS, block += BATCH_BLOCKS) {
    std::memset(buffer, 0, sizeof buffer);
    for (size_t i = 0; i < BATCH_BLOCKS; i++) {
      for (int byte = 0; byte < 8; byte++) buffer[16 * i + 15 - byte] = static_cast<uint8_t>((block + i) >> (8 * byte));
    }
    Planes state;
    to_planes(buffer, state);
    add(state, round_keys[0]);
    for (int round = 1; round < 10; round++) {
      substitute(state);
      shift_rows(state);
      mix_columns(state);
      add(state, round_keys[round]);
    }
    substitute(state);
    shift_rows(state);
    add(state, round_keys[10]);
    from_planes(state, buffer);
    const size_t left = blocks - done;
    std::memcpy(out + 16 * done, buffer, 16 * (left < BATCH_BLOCKS ? left : BATCH_BLOCKS));
  }
}

}  // namespace pumac

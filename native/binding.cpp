// The checks between JavaScript's numbers and pointers.
#include "binding.hpp"

#include <cmath>
#include <string>

namespace pumac {

int64_t Call::integer(size_t index, int64_t least, int64_t most) const {
  const double value = numbers[index];
  const bool whole = std::isfinite(value) && value == std::trunc(value);
  if (!whole || value < static_cast<double>(least) || value > static_cast<double>(most)) {
    throw std::out_of_range("argument " + std::to_string(index) + " is not an integer of its range");
  }
  return static_cast<int64_t>(value);
}

const RoundKeys& Call::key(size_t index) const {
  const size_t handle = size(index);
  if (handle >= arena->keys.size()) throw std::out_of_range("no such key");
  return arena->keys[handle];
}

uint8_t* Call::at(size_t offset, size_t count, size_t size) const {
  if (offset > arena->length || count > (arena->length - offset) / size) {
    throw std::out_of_range("a range lies outside the arena");
  }
  if (offset % size != 0) throw std::out_of_range("an offset is not aligned to its elements");
  return arena->bytes + offset;
}

size_t product_of(size_t a, size_t b) {
  if (b != 0 && a > static_cast<size_t>(Call::LARGEST) / b) throw std::out_of_range("a length is too large");
  return a * b;
}

size_t packed_bytes(size_t count, size_t bits) { return (product_of(count, bits) + 7) / 8; }

KernelTable kernels_of(Tier tier) {
#if defined(__x86_64__)
  if (tier == Tier::avx512) return kernels_avx512();
  if (tier == Tier::avx2) return kernels_avx2();
#endif
  static_cast<void>(tier);
  return kernels_portable();
}

}  // namespace pumac

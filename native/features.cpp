// CPUID and XGETBV, read once. On anything but x86-64 every feature is absent and the portable tier runs.
#include "features.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace pumac {

namespace {

#if defined(__x86_64__)
bool bit(uint32_t word, int at) { return ((word >> at) & 1u) != 0; }

// The register sets that the operating system saves (XCR0): bits 1, 2 are SSE and AVX, bits 5 to 7 AVX-512.
uint64_t saved_registers() {
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

Features detect() {
  Features found{};
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(0, &a, &b, &c, &d)) return found;
  found.intel = b == signature_INTEL_ebx && c == signature_INTEL_ecx && d == signature_INTEL_edx;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return found;
  found.aesni = bit(c, 25) && bit(c, 19);
  const bool has_avx = bit(c, 28) && bit(c, 27);
  const uint64_t saved = has_avx ? saved_registers() : 0;
  if ((saved & 0x6) != 0x6) return found;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
  found.avx2 = bit(b, 5) && bit(b, 8);
  found.vaes = found.avx2 && bit(c, 9);
  found.avx512 = found.avx2 && (saved & 0xe6) == 0xe6 && bit(b, 16) && bit(b, 17) && bit(b, 30) && bit(b, 31);
  found.ifma = found.avx512 && bit(b, 21);
  return found;
}
#else
Features detect() { return Features{}; }
#endif

}  // namespace

const Features& features() {
  static const Features found = detect();
  return found;
}

Tier best_tier() {
  return features().avx512 ? Tier::avx512 : features().avx2 ? Tier::avx2 : Tier::portable;
}

StreamTier best_stream_tier() {
  if (features().vaes) return features().avx512 ? StreamTier::vaes512 : StreamTier::vaes256;
  return features().aesni ? StreamTier::aesni : StreamTier::bitsliced;
}

}  // namespace pumac

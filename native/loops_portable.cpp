// The loops for any processor: loops_body.hpp compiled with the default instructions.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "loops.hpp"

#define PUMAC_AVX2 0

namespace pumac {
namespace {
namespace portable {

#include "loops_body.hpp"

}  // namespace portable
}  // namespace

const Loops LOOPS_PORTABLE = portable::TABLE;

#if defined(__x86_64__)
const Loops& loops_of(Tier tier) {
  return tier == Tier::avx512 ? LOOPS_AVX512 : tier == Tier::avx2 ? LOOPS_AVX2 : LOOPS_PORTABLE;
}
#else
const Loops& loops_of(Tier) { return LOOPS_PORTABLE; }
#endif

}  // namespace pumac

// The kernels for processors with AVX2: body.hpp compiled with those instructions.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

#include "binding.hpp"
#include "matmul.hpp"
#include "pool.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#define PUMAC_AVX2 1

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi2")
#endif

namespace pumac {
namespace {
namespace avx2 {

#include "body.hpp"

}  // namespace avx2
}  // namespace

KernelTable kernels_avx2() { return {avx2::TABLE, std::size(avx2::TABLE)}; }

}  // namespace pumac

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

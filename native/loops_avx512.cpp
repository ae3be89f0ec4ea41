// The loops for processors with AVX-512: loops_body.hpp compiled with those instructions.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "loops.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#define PUMAC_AVX2 1

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,bmi2")
#endif

namespace pumac {
namespace {
namespace avx512 {

#include "loops_body.hpp"

}  // namespace avx512
}  // namespace

const Loops LOOPS_AVX512 = avx512::TABLE;

}  // namespace pumac

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

// Matrix products over doubles, for work in the clear: what an owner computes of its own values, and calibration.
//
// Measured ranges decide a plan, so the result may not depend on the machine: every element is ((+0 + a₀b₀) + a₁b₁) + …
// in order of the inner index, each product and each sum rounded by itself (no fused multiply-add). Vectors run over
// columns, so every tier, and the TypeScript twin (ir/tensor/ops/linear.ts), give the same bits.
#pragma once

#include <cstddef>

#include "features.hpp"

namespace pumac {

// C = A·B, all row-major and without gaps; B in one of two precisions, the other pointer null. C overlaps neither.
struct RealProduct {
  double* c;
  const double* a;
  const double* b;
  const float* short_b;
  size_t rows;
  size_t inner;
  size_t columns;
};

// Computes a product on the thread pool.
void multiply_reals(Tier tier, const RealProduct& product);

}  // namespace pumac

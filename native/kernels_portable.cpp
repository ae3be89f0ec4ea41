// The kernels for any processor: body.hpp compiled with the default instructions.
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

#define PUMAC_AVX2 0

namespace pumac {
namespace {
namespace portable {

#include "body.hpp"

}  // namespace portable
}  // namespace

KernelTable kernels_portable() { return {portable::TABLE, std::size(portable::TABLE)}; }

}  // namespace pumac

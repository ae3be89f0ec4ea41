// What the processor can do, read from CPUID once, and the tiers of kernels that follow from it.
//
// Dispatch is by feature bits, never by processor model: multiversioning by `arch=` was seen to choose AVX2 on a
// processor with AVX-512 (design note "Kernels"). A feature counts only where the operating system saves its registers.
#pragma once

#include <cstdint>

namespace pumac {

// The instruction sets a loop may be compiled for, slowest first. A tier stands for all of its members at once.
enum class Tier : int { portable = 0, avx2 = 1, avx512 = 2 };

// How AES blocks are computed, slowest first.
enum class StreamTier : int { bitsliced = 0, aesni = 1, vaes256 = 2, vaes512 = 3 };

struct Features {
  bool avx2;    // AVX2 and BMI2
  bool avx512;  // AVX-512 F, DQ, BW and VL
  bool ifma;    // with AVX-512: products of 52 bits
  bool intel;   // where `vpmadd52luq` is one instruction inside too, and `vpmulld` is two
  bool aesni;
  bool vaes;
};

// The features of this processor under this operating system.
const Features& features();

// The fastest tiers this processor supports.
Tier best_tier();
StreamTier best_stream_tier();

}  // namespace pumac

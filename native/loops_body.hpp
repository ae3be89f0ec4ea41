// The bodies of all loops, for one tier. Included inside a namespace of its own by loops_portable.cpp, loops_avx2.cpp
// and loops_avx512.cpp, within a region compiled for that tier's instructions; includes nothing itself, so that no
// standard header is compiled with them. PUMAC_AVX2 is 1 where AVX2 intrinsics may be used.

#include "loops_packing.hpp"

constexpr auto PACK = packers(std::make_index_sequence<64>());
constexpr auto UNPACK = unpackers(std::make_index_sequence<64>());

constexpr Loops TABLE{
    PACK.data(),
    UNPACK.data(),
    pack_bits,
    unpack_bits,
};

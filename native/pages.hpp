// The arena's memory: whole zeroed pages straight from the system, large ones where there are, kept out of core dumps.
// The system clears pages before anyone else gets them.
#pragma once

#include <cstddef>

namespace pumac {

// `length` zeroed bytes on a page boundary, or null.
void* reserve_pages(size_t length);

// Gives them back.
void release_pages(void* bytes, size_t length);

// Overwrites memory with zeros, and the compiler may not leave it out.
void wipe(void* bytes, size_t length);

}  // namespace pumac

// The arena's memory: whole zeroed pages straight from the system, large ones where there are, kept out of core dumps.
// The system clears pages before anyone else gets them. And what a process that holds shares asks of the system besides.
#pragma once

#include <cstddef>

namespace pumac {

// `length` zeroed bytes on a page boundary, or null.
void* reserve_pages(size_t length);

// Gives them back.
void release_pages(void* bytes, size_t length);

// Overwrites memory with zeros, and the compiler may not leave it out.
void wipe(void* bytes, size_t length);

// A file's bytes, mapped: all who map it use the system's one copy, and what is written here stays here. Null for a file
// that cannot be opened, or an empty one.
void* map_file(const char* path, size_t& length);

// Takes the mapping away.
void unmap_file(void* bytes, size_t length);

// Gives back the memory of the pages of a mapped file of [at, at + length): they are read from the file again
// when they are used again, and what was written to them is lost. False, and nothing is done, where `bytes` is no mapped
// file of so many bytes: other memory would be zeroed. A system that has no such call keeps them.
bool forget_pages(void* bytes, size_t at, size_t length);

// From now on this process leaves no core file, to whatever limit or program the system hands them; whether that holds.
bool leave_no_core();

}  // namespace pumac

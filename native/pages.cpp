// mmap with advice.
#include "pages.hpp"

#include <sys/mman.h>

#include <cstring>

namespace pumac {

void* reserve_pages(size_t length) {
  void* bytes = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (bytes == MAP_FAILED) return nullptr;
#if defined(MADV_HUGEPAGE)
  madvise(bytes, length, MADV_HUGEPAGE);
#endif
#if defined(MADV_DONTDUMP)
  madvise(bytes, length, MADV_DONTDUMP);
#endif
  return bytes;
}

void release_pages(void* bytes, size_t length) { munmap(bytes, length); }

void wipe(void* bytes, size_t length) {
  std::memset(bytes, 0, length);
  __asm__ volatile("" : : "r"(bytes) : "memory");
}

}  // namespace pumac

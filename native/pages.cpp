// mmap with advice.
#include "pages.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

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

void* map_file(const char* path, size_t& length) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return nullptr;
  struct stat status;
  void* bytes = MAP_FAILED;
  if (fstat(file, &status) == 0 && status.st_size > 0) {
    length = static_cast<size_t>(status.st_size);
    bytes = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
  }
  close(file);
  return bytes == MAP_FAILED ? nullptr : bytes;
}

bool leave_no_core() {
  const rlimit none = {0, 0};
  const bool limited = setrlimit(RLIMIT_CORE, &none) == 0;
#if defined(__linux__)
  // A core that is piped to a program is not held by the limit.
  return prctl(PR_SET_DUMPABLE, 0) == 0 && limited;
#else
  return limited;
#endif
}

}  // namespace pumac

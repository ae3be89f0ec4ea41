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

#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>

namespace pumac {

namespace {

// The mapped files of the process, by where they begin, with their lengths.
std::mutex mapped_lock;
std::map<void*, size_t> mapped;

}  // namespace

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
  if (bytes == MAP_FAILED) return nullptr;
  const std::lock_guard<std::mutex> lock(mapped_lock);
  mapped[bytes] = length;
  return bytes;
}

void unmap_file(void* bytes, size_t length) {
  const std::lock_guard<std::mutex> lock(mapped_lock);
  mapped.erase(bytes);
  munmap(bytes, length);
}

bool forget_pages(void* bytes, size_t at, size_t length) {
  const std::lock_guard<std::mutex> lock(mapped_lock);
  const auto found = mapped.find(bytes);
  if (found == mapped.end() || at > found->second || length > found->second - at) return false;
#if defined(__linux__)
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  // The page in which the range ends has bytes that may be wanted next.
  const size_t end = at + length == found->second ? at + length : (at + length) / page * page;
  const size_t start = at / page * page;
  if (start < end) madvise(static_cast<uint8_t*>(bytes) + start, end - start, MADV_DONTNEED);
#endif
  return true;
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

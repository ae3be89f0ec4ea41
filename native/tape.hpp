// Calls of kernels that are noted once and made many times, on any arena: no call is put together in JavaScript again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "binding.hpp"

namespace pumac {

class Tape {
 public:
  size_t length() const { return entries_.size(); }

  // Notes a call of a kernel of the portable table; its arena is of no meaning.
  void add(const Kernel& kernel, const Call& call);

  // Forgets all calls but the first `length`.
  void cut(size_t length);

  // Makes the calls [from, to) with the kernels of the arena's tier. A kernel's own error says which one it was.
  void play(const Arena& arena, size_t from, size_t to) const;

 private:
  struct Entry {
    const Kernel* kernel;
    size_t cell;  // where its numbers and words begin
    size_t list;  // and its lists
  };

  // The list that is kept already, where it is an equal one: many steps share theirs.
  std::shared_ptr<const List> kept(const std::shared_ptr<const List>& list);

  std::vector<Entry> entries_;
  std::vector<uint64_t> cells_;
  std::vector<std::shared_ptr<const List>> lists_;
  std::unordered_multimap<uint64_t, std::weak_ptr<const List>> known_;
};

// Runs the kernel of this name for the arena's tier; `kernel` is the portable table's entry.
void run_kernel(const Kernel& kernel, const Call& call);

}  // namespace pumac

// Tapes: see tape.hpp. A number and a word take one cell of 64 bits each, so that a call is as long as its arguments.
#include "tape.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

namespace pumac {

namespace {

// How many arguments of a signature are no lists.
size_t cells_of(const Kernel& kernel) {
  const char* end = kernel.signature + std::strlen(kernel.signature);
  return static_cast<size_t>(std::count_if(kernel.signature, end, [](char letter) { return letter != 'l'; }));
}

size_t lists_of(const Kernel& kernel) { return std::strlen(kernel.signature) - cells_of(kernel); }

uint64_t digest_of(const List& list) {
  uint64_t digest = 14695981039346656037ull;  // FNV-1a over the integers
  for (const int32_t each : list) digest = (digest ^ static_cast<uint32_t>(each)) * 1099511628211ull;
  return digest;
}

}  // namespace

void run_kernel(const Kernel& kernel, const Call& call) {
  const size_t index = static_cast<size_t>(&kernel - kernels_portable().first);
  kernels_of(call.arena->tier).first[index].run(call);
}

std::shared_ptr<const List> Tape::kept(const std::shared_ptr<const List>& list) {
  const uint64_t digest = digest_of(*list);
  const auto [first, last] = known_.equal_range(digest);
  for (auto at = first; at != last; ++at) {
    const std::shared_ptr<const List> other = at->second.lock();
    if (other != nullptr && *other == *list) return other;
  }
  known_.emplace(digest, list);
  return list;
}

void Tape::add(const Kernel& kernel, const Call& call) {
  entries_.push_back({&kernel, cells_.size(), lists_.size()});
  size_t at = 0;
  for (const char* letter = kernel.signature; *letter != 0; letter++) {
    if (*letter == 'l') continue;
    uint64_t cell = call.raw[at];
    if (*letter == 'n') std::memcpy(&cell, &call.numbers[at], sizeof cell);
    cells_.push_back(cell);
    at++;
  }
  for (size_t i = 0; i < lists_of(kernel); i++) lists_.push_back(kept(call.lists[i]));
}

void Tape::cut(size_t length) {
  if (length >= entries_.size()) return;
  cells_.resize(entries_[length].cell);
  lists_.resize(entries_[length].list);
  entries_.resize(length);
}

void Tape::play(const Arena& arena, size_t from, size_t to) const {
  if (from > to || to > entries_.size()) throw std::out_of_range("calls that were never noted");
  for (size_t i = from; i < to; i++) {
    const Entry& entry = entries_[i];
    Call call;
    call.arena = &arena;
    const size_t cells = cells_of(*entry.kernel), lists = lists_of(*entry.kernel);
    // A kernel reads an argument as a number or as a word, and knows which it is.
    std::memcpy(call.raw.data(), cells_.data() + entry.cell, cells * sizeof(uint64_t));
    std::memcpy(call.numbers.data(), cells_.data() + entry.cell, cells * sizeof(double));
    for (size_t l = 0; l < lists; l++) call.lists[l] = lists_[entry.list + l];
    try {
      run_kernel(*entry.kernel, call);
    } catch (const std::out_of_range& error) {
      throw std::out_of_range(std::string(entry.kernel->name) + ": " + error.what());
    }
  }
}

}  // namespace pumac

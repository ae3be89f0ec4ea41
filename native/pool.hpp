// One persistent thread pool for the process: starting a thread costs more than most kernels.
//
// The caller works too, so a pool of one thread has no worker at all. Several callers may be inside `run` at once (the
// main thread and the threads of asynchronous kernels); nobody spins, so that three parties on two cores share them.
#pragma once

#include <cstddef>
#include <functional>

namespace pumac {

// How many threads work on a kernel, the caller included.
size_t pool_threads();

// Sets it: 1 ≤ threads ≤ 256. Takes effect from the next `parallel_for`; workers are started, never stopped.
void set_pool_threads(size_t threads);

// Calls body(0) … body(count − 1), each once, in any order and on any thread, and returns when all are done. `body`
// must not throw.
void parallel_for(size_t count, const std::function<void(size_t)>& body);

// Cuts [0, length) into ranges of at least `grain` items whose starts are multiples of `multiple`, one or a few per
// thread, and calls body(begin, end) for each.
void parallel_ranges(size_t length, size_t grain, size_t multiple, const std::function<void(size_t, size_t)>& body);

}  // namespace pumac

// The pool: a list of jobs under one mutex; workers take the next index of the first job that has one left.
#include "pool.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

namespace pumac {

namespace {

struct Job {
  const std::function<void(size_t)>* body;
  size_t count;
  size_t next = 0;
  size_t finished = 0;
};

// Never destroyed: its workers wait until the process ends, and the addon is linked so that it is never unloaded.
struct Pool {
  std::mutex mutex;
  std::condition_variable work;
  std::condition_variable done;
  std::deque<Job*> jobs;
  size_t workers = 0;
  size_t threads = 1;
};

size_t default_threads() {
  const char* wish = std::getenv("PUMAC_THREADS");
  const long asked = wish == nullptr ? 0 : std::strtol(wish, nullptr, 10);
  if (asked >= 1) return std::min<size_t>(static_cast<size_t>(asked), 256);
  return std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 64);
}

Pool& pool() {
  static Pool* const only = [] {
    Pool* fresh = new Pool;
    fresh->threads = default_threads();
    return fresh;
  }();
  return *only;
}

// Takes one index of `job` and runs it; the lock is held on entry and on exit.
void run_one(Pool& shared, Job& job, std::unique_lock<std::mutex>& lock) {
  const size_t index = job.next++;
  if (job.next == job.count) shared.jobs.erase(std::find(shared.jobs.begin(), shared.jobs.end(), &job));
  lock.unlock();
  (*job.body)(index);
  lock.lock();
  if (++job.finished == job.count) shared.done.notify_all();
}

void work_forever(size_t number) {
  Pool& shared = pool();
  std::unique_lock<std::mutex> lock(shared.mutex);
  for (;;) {
    shared.work.wait(lock, [&] { return !shared.jobs.empty() && number + 1 < shared.threads; });
    run_one(shared, *shared.jobs.front(), lock);
  }
}

// A system that refuses a thread is a pool of fewer threads, not an error: the caller works in any case.
void start_workers(Pool& shared) {
  try {
    for (; shared.workers + 1 < shared.threads; shared.workers++) std::thread(work_forever, shared.workers).detach();
  } catch (const std::system_error&) {
    shared.threads = shared.workers + 1;
  }
}

}  // namespace

size_t pool_threads() {
  std::lock_guard<std::mutex> lock(pool().mutex);
  return pool().threads;
}

void set_pool_threads(size_t threads) {
  std::lock_guard<std::mutex> lock(pool().mutex);
  pool().threads = std::clamp<size_t>(threads, 1, 256);
}

void parallel_for(size_t count, const std::function<void(size_t)>& body) {
  if (count == 0) return;
  if (count == 1) {
    body(0);
    return;
  }
  Pool& shared = pool();
  std::unique_lock<std::mutex> lock(shared.mutex);
  start_workers(shared);
  Job job{&body, count};
  shared.jobs.push_back(&job);
  shared.work.notify_all();
  while (job.next < job.count) run_one(shared, job, lock);
  shared.done.wait(lock, [&] { return job.finished == job.count; });
}

void parallel_ranges(size_t length, size_t grain, size_t multiple, const std::function<void(size_t, size_t)>& body) {
  const size_t pieces = std::min(pool_threads(), std::max<size_t>(length / std::max<size_t>(grain, 1), 1));
  if (pieces == 1) {
    if (length > 0) body(0, length);
    return;
  }
  const size_t share = ((length + pieces - 1) / pieces + multiple - 1) / multiple * multiple;
  parallel_for((length + share - 1) / share, [&](size_t i) { body(i * share, std::min(length, (i + 1) * share)); });
}

}  // namespace pumac

// The N-API door: `createArena`, then every kernel twice, as `now.NAME(arena, …)` on this thread and as
// `later.NAME(arena, …)`, which works on another thread and returns a promise, so that sockets keep moving.
//
// An arena is registered once; a call then passes offsets as numbers, which is several times cheaper than passing typed
// arrays. Only plain node_api.h is used, so the addon fits every Node that has N-API version 8.
#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <string>

#include "door.hpp"
#include "pages.hpp"
#include "pool.hpp"
#include "reals.hpp"
#include "tape.hpp"

namespace pumac {

namespace {

// Reads the arguments that `kernel` declares, all behind the first one, into `call`.
void read_call(napi_env env, const Kernel& kernel, size_t count, const napi_value* values, Call& call) {
  const size_t wanted = std::strlen(kernel.signature) + 1;
  if (count != wanted || count > MOST_ARGUMENTS) throw std::out_of_range("wrong number of arguments");
  size_t numbers = 0, lists = 0;
  for (size_t i = 1; i < wanted; i++) {
    if (kernel.signature[i - 1] == 'l') {
      call.lists[lists++] = read_list(env, values[i]);
    } else if (kernel.signature[i - 1] == 'w') {
      bool lossless = false;  // a negative word wraps, as it should
      check(napi_get_value_bigint_uint64(env, values[i], &call.raw[numbers++], &lossless));
    } else {
      check(napi_get_value_double(env, values[i], &call.numbers[numbers++]));
    }
  }
}

napi_value run_now(napi_env env, napi_callback_info info) {
  napi_value values[MOST_ARGUMENTS];
  size_t count = MOST_ARGUMENTS;
  void* data = nullptr;
  const char* name = "kernel";
  try {
    check(napi_get_cb_info(env, info, &count, values, nullptr, &data));
    const Kernel& kernel = *static_cast<const Kernel*>(data);
    name = kernel.name;
    Call call;
    call.arena = external<const Arena>(env, values[0]);
    read_call(env, kernel, count, values, call);
    run_kernel(kernel, call);
  } catch (...) {
    rethrow(env, name);
  }
  return nullptr;
}

// Work on another thread. The references keep an arena's memory, and a tape, alive until it is done.
struct Pending {
  const char* name;
  std::function<void()> body;
  std::array<napi_ref, 2> held = {nullptr, nullptr};
  napi_deferred promise = nullptr;
  napi_async_work work = nullptr;
  std::string failure;
};

void execute(napi_env, void* data) {
  Pending& pending = *static_cast<Pending*>(data);
  try {
    pending.body();
  } catch (const std::exception& error) {
    pending.failure = std::string(pending.name) + ": " + error.what();
  }
}

void complete(napi_env env, napi_status, void* data) {
  const std::unique_ptr<Pending> pending(static_cast<Pending*>(data));
  napi_value result = nullptr;
  if (pending->failure.empty()) {
    napi_get_undefined(env, &result);
    napi_resolve_deferred(env, pending->promise, result);
  } else {
    napi_value text = nullptr;
    napi_create_string_utf8(env, pending->failure.c_str(), pending->failure.size(), &text);
    napi_create_range_error(env, nullptr, text, &result);
    napi_reject_deferred(env, pending->promise, result);
  }
  for (napi_ref held : pending->held) {
    if (held != nullptr) napi_delete_reference(env, held);
  }
  napi_delete_async_work(env, pending->work);
}

// Starts work on another thread, which needs what is `held`; its promise.
napi_value start(napi_env env, const char* name, std::function<void()> body, std::array<napi_value, 2> held) {
  auto pending = std::make_unique<Pending>();
  pending->name = name;
  pending->body = std::move(body);
  napi_value promise, label;
  check(napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &label));
  for (size_t i = 0; i < held.size(); i++) {
    if (held[i] != nullptr) check(napi_create_reference(env, held[i], 1, &pending->held[i]));
  }
  check(napi_create_promise(env, &pending->promise, &promise));
  check(napi_create_async_work(env, nullptr, label, execute, complete, pending.get(), &pending->work));
  check(napi_queue_async_work(env, pending->work));
  pending.release();
  return promise;
}

napi_value run_later(napi_env env, napi_callback_info info) {
  napi_value values[MOST_ARGUMENTS];
  size_t count = MOST_ARGUMENTS;
  void* data = nullptr;
  const char* name = "kernel";
  try {
    check(napi_get_cb_info(env, info, &count, values, nullptr, &data));
    const Kernel& kernel = *static_cast<const Kernel*>(data);
    name = kernel.name;
    Call call;
    call.arena = external<const Arena>(env, values[0]);
    read_call(env, kernel, count, values, call);
    return start(env, name, [&kernel, call] { run_kernel(kernel, call); }, {values[0], nullptr});
  } catch (...) {
    rethrow(env, name);
  }
  return nullptr;
}

// An arena and its JavaScript buffer. The handle keeps the buffer alive, and the buffer the memory.
struct ArenaHandle {
  Arena arena;  // first, so that a handle's address is its arena's
  napi_ref buffer = nullptr;
};

// Forgets keys and memory: from here on no offset lies inside the arena.
void empty_arena(napi_env env, ArenaHandle& handle) {
  for (RoundKeys& keys : handle.arena.keys) wipe(keys.bytes, sizeof keys.bytes);
  handle.arena.keys.clear();
  handle.arena.bytes = nullptr;
  handle.arena.length = 0;
  if (handle.buffer != nullptr) napi_delete_reference(env, handle.buffer);
  handle.buffer = nullptr;
}

void drop_arena(napi_env env, void* data, void*) {
  ArenaHandle* handle = static_cast<ArenaHandle*>(data);
  empty_arena(env, *handle);
  delete handle;
}

void drop_memory(napi_env, void* bytes, void* length) { release_pages(bytes, reinterpret_cast<size_t>(length)); }

void drop_file(napi_env, void* bytes, void* length) { unmap_file(bytes, reinterpret_cast<size_t>(length)); }

ArenaHandle& arena_of(napi_env env, napi_value handle) {
  void* data = nullptr;
  check(napi_get_value_external(env, handle, &data));
  return *static_cast<ArenaHandle*>(data);
}

// createArena(bytes: number, tier: number, streamTier: number): { handle, buffer }, the buffer zeroed.
napi_value create_arena(napi_env env, napi_callback_info info) {
  napi_value values[3], result = nullptr;
  try {
    read_arguments(env, info, values);
    double wanted = 0;
    int32_t tier = 0, stream = 0;
    check(napi_get_value_double(env, values[0], &wanted));
    check(napi_get_value_int32(env, values[1], &tier));
    check(napi_get_value_int32(env, values[2], &stream));
    if (!(wanted >= 0 && wanted <= 1e15)) throw std::out_of_range("not a length");
    const bool known = tier >= 0 && tier <= static_cast<int>(best_tier()) && stream >= 0 &&
                       stream <= static_cast<int>(best_stream_tier());
    if (!known) throw std::out_of_range("this processor lacks the tier");
    const size_t length = std::max<size_t>(64, (static_cast<size_t>(wanted) + 63) / 64 * 64);
    void* bytes = reserve_pages(length);
    if (bytes == nullptr) throw std::runtime_error("not enough memory for the arena");
    auto handle = std::make_unique<ArenaHandle>();
    handle->arena.bytes = static_cast<uint8_t*>(bytes);
    handle->arena.length = length;
    handle->arena.tier = static_cast<Tier>(tier);
    handle->arena.stream = static_cast<StreamTier>(stream);
    napi_value buffer, external;
    if (napi_create_external_arraybuffer(env, bytes, length, drop_memory, reinterpret_cast<void*>(length), &buffer) !=
        napi_ok) {
      release_pages(bytes, length);
      throw NodeFailure{};
    }
    check(napi_create_reference(env, buffer, 1, &handle->buffer));
    check(napi_create_external(env, handle.get(), drop_arena, nullptr, &external));
    handle.release();
    check(napi_create_object(env, &result));
    check(napi_set_named_property(env, result, "handle", external));
    check(napi_set_named_property(env, result, "buffer", buffer));
  } catch (...) {
    rethrow(env, "createArena");
  }
  return result;
}

// closeArena(handle, buffer): forgets the keys, detaches the buffer and gives its memory back.
napi_value close_arena(napi_env env, napi_callback_info info) {
  napi_value values[2];
  try {
    read_arguments(env, info, values);
    empty_arena(env, arena_of(env, values[0]));
    bool detached = false;
    check(napi_is_detached_arraybuffer(env, values[1], &detached));
    if (!detached) check(napi_detach_arraybuffer(env, values[1]));
  } catch (...) {
    rethrow(env, "closeArena");
  }
  return nullptr;
}

// addKey(handle, key: Uint8Array of 16): the key's number in this arena.
napi_value add_key(napi_env env, napi_callback_info info) {
  napi_value values[2], result = nullptr;
  try {
    read_arguments(env, info, values);
    void* bytes = nullptr;
    size_t length = 0;
    napi_typedarray_type type;
    check(napi_get_typedarray_info(env, values[1], &type, &length, &bytes, nullptr, nullptr));
    if (type != napi_uint8_array || length != 16) throw std::out_of_range("a key is 16 bytes");
    Arena& arena = arena_of(env, values[0]).arena;
    arena.keys.emplace_back();
    expand_key(static_cast<const uint8_t*>(bytes), arena.keys.back());
    check(napi_create_uint32(env, static_cast<uint32_t>(arena.keys.size() - 1), &result));
  } catch (...) {
    rethrow(env, "addKey");
  }
  return result;
}

// threads(count?: number): sets the pool's threads if given; returns them.
napi_value threads(napi_env env, napi_callback_info info) {
  napi_value values[1], result = nullptr;
  size_t count = 1;
  try {
    check(napi_get_cb_info(env, info, &count, values, nullptr, nullptr));
    if (count == 1) {
      uint32_t wanted = 0;
      check(napi_get_value_uint32(env, values[0], &wanted));
      set_pool_threads(wanted);
    }
    check(napi_create_uint32(env, static_cast<uint32_t>(pool_threads()), &result));
  } catch (...) {
    rethrow(env, "threads");
  }
  return result;
}

void drop_tape(napi_env, void* tape, void*) { delete static_cast<Tape*>(tape); }

// createTape(): an empty tape (tape.hpp).
napi_value create_tape(napi_env env, napi_callback_info) {
  napi_value result = nullptr;
  try {
    auto tape = std::make_unique<Tape>();
    check(napi_create_external(env, tape.get(), drop_tape, nullptr, &result));
    tape.release();
  } catch (...) {
    rethrow(env, "createTape");
  }
  return result;
}

// note.NAME(tape, …): adds a call.
napi_value note_call(napi_env env, napi_callback_info info) {
  napi_value values[MOST_ARGUMENTS];
  size_t count = MOST_ARGUMENTS;
  void* data = nullptr;
  const char* name = "kernel";
  try {
    check(napi_get_cb_info(env, info, &count, values, nullptr, &data));
    const Kernel& kernel = *static_cast<const Kernel*>(data);
    name = kernel.name;
    Call call;
    read_call(env, kernel, count, values, call);
    external<Tape>(env, values[0])->add(kernel, call);
  } catch (...) {
    rethrow(env, name);
  }
  return nullptr;
}

// cutTape(tape, length)
napi_value cut_tape(napi_env env, napi_callback_info info) {
  napi_value values[2];
  try {
    read_arguments(env, info, values);
    external<Tape>(env, values[0])->cut(length_at(env, values[1]));
  } catch (...) {
    rethrow(env, "cutTape");
  }
  return nullptr;
}

// playTape(arena, tape, from, to, later: boolean): makes the calls here, or elsewhere, and returns a promise of that.
napi_value play_tape(napi_env env, napi_callback_info info) {
  napi_value values[5];
  try {
    read_arguments(env, info, values);
    const Arena* arena = external<const Arena>(env, values[0]);
    const Tape* tape = external<const Tape>(env, values[1]);
    const size_t from = length_at(env, values[2]), to = length_at(env, values[3]);
    bool later = false;
    check(napi_get_value_bool(env, values[4], &later));
    const auto body = [=] { tape->play(*arena, from, to); };
    if (later) return start(env, "playTape", body, {values[0], values[1]});
    body();
  } catch (...) {
    rethrow(env, "playTape");
  }
  return nullptr;
}

// multiplyReals(tier, c: Float64Array, cAt, a: Float64Array, aAt, b: Float64Array | Float32Array, bAt, rows, inner,
// columns): c = a·b, matrices that begin at elements of their arrays.
napi_value multiply(napi_env env, napi_callback_info info) {
  napi_value values[10];
  try {
    read_arguments(env, info, values);
    size_t numbers[10] = {};
    for (const int i : {0, 2, 4, 6, 7, 8, 9}) numbers[i] = length_at(env, values[i]);
    if (numbers[0] > static_cast<size_t>(best_tier())) throw std::out_of_range("this processor lacks the tier");
    RealProduct product{};
    product.rows = numbers[7], product.inner = numbers[8], product.columns = numbers[9];
    const size_t in_a = product_of(product.rows, product.inner), in_b = product_of(product.inner, product.columns);
    const size_t in_c = product_of(product.rows, product.columns);
    product.c = elements<double>(env, values[1], napi_float64_array, numbers[2], in_c);
    product.a = elements<double>(env, values[3], napi_float64_array, numbers[4], in_a);
    product.b = elements<double>(env, values[5], napi_float64_array, numbers[6], in_b);
    product.short_b = elements<float>(env, values[5], napi_float32_array, numbers[6], in_b);
    if (product.c == nullptr || product.a == nullptr || (product.b == nullptr && product.short_b == nullptr)) {
      throw std::out_of_range("an array of the wrong type");
    }
    multiply_reals(static_cast<Tier>(numbers[0]), product);
  } catch (...) {
    rethrow(env, "multiplyReals");
  }
  return nullptr;
}

// mapFile(path: string): ArrayBuffer | undefined: map_file of pages.hpp, given back when nobody holds the buffer.
napi_value map_to_buffer(napi_env env, napi_callback_info info) {
  napi_value values[1], result = nullptr;
  try {
    read_arguments(env, info, values);
    size_t room = 0, length = 0;
    check(napi_get_value_string_utf8(env, values[0], nullptr, 0, &room));
    std::string path(room + 1, 0);
    check(napi_get_value_string_utf8(env, values[0], &path[0], path.size(), &room));
    void* bytes = map_file(path.c_str(), length);
    if (bytes == nullptr) return nullptr;
    if (napi_create_external_arraybuffer(env, bytes, length, drop_file, reinterpret_cast<void*>(length), &result) !=
        napi_ok) {
      unmap_file(bytes, length);
      throw NodeFailure{};
    }
  } catch (...) {
    rethrow(env, "mapFile");
  }
  return result;
}

// forgetPages(mapped: ArrayBuffer, at: number, length: number): boolean; see pages.hpp.
napi_value forget(napi_env env, napi_callback_info info) {
  napi_value values[3], result = nullptr;
  try {
    read_arguments(env, info, values);
    void* bytes = nullptr;
    size_t whole = 0;
    check(napi_get_arraybuffer_info(env, values[0], &bytes, &whole));
    double at = 0, length = 0;
    check(napi_get_value_double(env, values[1], &at));
    check(napi_get_value_double(env, values[2], &length));
    if (!(at >= 0 && length >= 0 && at + length <= static_cast<double>(whole))) {
      throw std::out_of_range("a range beyond the file");
    }
    check(napi_get_boolean(env, forget_pages(bytes, static_cast<size_t>(at), static_cast<size_t>(length)), &result));
  } catch (...) {
    rethrow(env, "forgetPages");
  }
  return result;
}

// leaveNoCore(): boolean; see pages.hpp.
napi_value end_without_core(napi_env env, napi_callback_info) {
  napi_value result = nullptr;
  try {
    check(napi_get_boolean(env, leave_no_core(), &result));
  } catch (...) {
    rethrow(env, "leaveNoCore");
  }
  return result;
}

napi_value initialise(napi_env env, napi_value exports) {
  try {
    napi_value now, later, note;
    check(napi_create_object(env, &now));
    check(napi_create_object(env, &note));
    check(napi_create_object(env, &later));
    const KernelTable table = kernels_portable();
    for (size_t i = 0; i < table.count; i++) {
      set_function(env, now, table.first[i].name, run_now, table.first + i);
      set_function(env, later, table.first[i].name, run_later, table.first + i);
      set_function(env, note, table.first[i].name, note_call, table.first + i);
    }
    check(napi_set_named_property(env, exports, "now", now));
    check(napi_set_named_property(env, exports, "later", later));
    check(napi_set_named_property(env, exports, "note", note));
    set_function(env, exports, "createTape", create_tape, nullptr);
    set_function(env, exports, "cutTape", cut_tape, nullptr);
    set_function(env, exports, "playTape", play_tape, nullptr);
    set_function(env, exports, "createArena", create_arena, nullptr);
    set_function(env, exports, "closeArena", close_arena, nullptr);
    set_function(env, exports, "addKey", add_key, nullptr);
    set_function(env, exports, "threads", threads, nullptr);
    set_function(env, exports, "multiplyReals", multiply, nullptr);
    set_function(env, exports, "mapFile", map_to_buffer, nullptr);
    set_function(env, exports, "forgetPages", forget, nullptr);
    set_function(env, exports, "leaveNoCore", end_without_core, nullptr);
    set_number(env, exports, "bestTier", static_cast<int>(best_tier()));
    set_number(env, exports, "bestStreamTier", static_cast<int>(best_stream_tier()));
  } catch (...) {
    rethrow(env, "pumac");
  }
  return exports;
}

}  // namespace

}  // namespace pumac

NAPI_MODULE_INIT() { return pumac::initialise(env, exports); }

// What every function of the N-API door needs: reading arguments, and errors that become JavaScript's.
#pragma once

#define NAPI_VERSION 8
#include <node_api.h>

#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>

#include "binding.hpp"

namespace pumac {

// Thrown where N-API reports a failure: JavaScript has, or gets, an exception.
struct NodeFailure {};

inline void check(napi_status status) {
  if (status != napi_ok) throw NodeFailure{};
}

inline std::shared_ptr<const List> read_list(napi_env env, napi_value value) {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  check(napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr));
  if (type != napi_int32_array) throw std::out_of_range("a list is not an Int32Array");
  const int32_t* first = static_cast<const int32_t*>(data);
  return std::make_shared<const List>(first, first + length);
}

template <class T>
T* external(napi_env env, napi_value value) {
  void* data = nullptr;
  check(napi_get_value_external(env, value, &data));
  return static_cast<T*>(data);
}

// Turns the current C++ exception into JavaScript's.
inline void rethrow(napi_env env, const char* name) {
  std::string text(name);
  try {
    throw;
  } catch (const std::out_of_range& error) {
    napi_throw_range_error(env, nullptr, (text + ": " + error.what()).c_str());
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, (text + ": " + error.what()).c_str());
  } catch (const NodeFailure&) {
    bool pending = false;
    napi_is_exception_pending(env, &pending);
    if (!pending) napi_throw_type_error(env, nullptr, (text + ": an argument is of the wrong type").c_str());
  }
}

// Reads the arguments of a call: exactly so many.
template <size_t N>
inline void read_arguments(napi_env env, napi_callback_info info, napi_value (&values)[N]) {
  size_t count = N;
  check(napi_get_cb_info(env, info, &count, values, nullptr, nullptr));
  if (count != N) throw std::out_of_range("wrong number of arguments");
}

inline size_t length_at(napi_env env, napi_value value) {
  double number = 0;
  check(napi_get_value_double(env, value, &number));
  if (!(number >= 0 && number <= 4294967296.0 && number == std::floor(number))) {
    throw std::out_of_range("not a length");
  }
  return static_cast<size_t>(number);
}

// `count` elements of a typed array from element `from` on; null where the array is of another type.
template <class T>
T* elements(napi_env env, napi_value array, napi_typedarray_type wanted, size_t from, size_t count) {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  check(napi_get_typedarray_info(env, array, &type, &length, &data, nullptr, nullptr));
  if (type != wanted) return nullptr;
  if (from > length || count > length - from) throw std::out_of_range("outside its array");
  return static_cast<T*>(data) + from;
}

inline void set_number(napi_env env, napi_value object, const char* name, int value) {
  napi_value number;
  check(napi_create_int32(env, value, &number));
  check(napi_set_named_property(env, object, name, number));
}

inline void set_function(napi_env env, napi_value object, const char* name, napi_callback run, const void* data) {
  napi_value function;
  check(napi_create_function(env, name, NAPI_AUTO_LENGTH, run, const_cast<void*>(data), &function));
  check(napi_set_named_property(env, object, name, function));
}

}  // namespace pumac

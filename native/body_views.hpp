// Strided copies and gathers of elements of 1 or 8 bytes. Included by body.hpp.

struct Axis {
  size_t size;
  int64_t stride;
};

// The axes without those of size 1, neighbours joined where one stride walks both.
std::vector<Axis> joined_axes(const std::vector<int32_t>& shape, const std::vector<int32_t>& strides) {
  std::vector<Axis> axes;
  for (size_t i = 0; i < shape.size(); i++) {
    if (shape[i] == 1) continue;
    const Axis axis{static_cast<size_t>(shape[i]), strides[i]};
    if (!axes.empty() && axes.back().stride == axis.stride * static_cast<int64_t>(axis.size)) {
      axes.back() = {axes.back().size * axis.size, axis.stride};
    } else {
      axes.push_back(axis);
    }
  }
  return axes;
}

template <class T>
void copy_row(T* to, const T* from, size_t size, int64_t stride) {
  if (stride == 1) {
    std::memcpy(to, from, size * sizeof(T));
  } else if (stride == 0) {
    std::fill_n(to, size, *from);
  } else {
    for (size_t i = 0; i < size; i++) to[i] = from[static_cast<int64_t>(i) * stride];
  }
}

// Two axes; a transposition goes block by block, so that both sides stay in the cache.
template <class T>
void copy_plane(T* to, const T* from, const Axis& rows, const Axis& columns) {
  constexpr size_t BLOCK = 16;
  const bool crosses = columns.stride != 0 && columns.stride != 1 && rows.size >= BLOCK && columns.size >= BLOCK;
  if (!crosses) {
    for (size_t i = 0; i < rows.size; i++) {
      copy_row(to + i * columns.size, from + static_cast<int64_t>(i) * rows.stride, columns.size, columns.stride);
    }
    return;
  }
  for (size_t top = 0; top < rows.size; top += BLOCK) {
    const size_t bottom = std::min(rows.size, top + BLOCK);
    for (size_t left = 0; left < columns.size; left += BLOCK) {
      const size_t width = std::min(BLOCK, columns.size - left);
      for (size_t i = top; i < bottom; i++) {
        const T* source = from + static_cast<int64_t>(i) * rows.stride + static_cast<int64_t>(left) * columns.stride;
        copy_row(to + i * columns.size + left, source, width, columns.stride);
      }
    }
  }
}

template <class T>
void copy_axes(T* to, const T* from, const std::vector<Axis>& axes) {
  const Axis rows = axes.size() < 2 ? Axis{1, 0} : axes[axes.size() - 2];
  const Axis columns = axes.empty() ? Axis{1, 1} : axes.back();
  const size_t outer_axes = axes.size() < 2 ? 0 : axes.size() - 2;
  size_t planes = 1;
  for (size_t i = 0; i < outer_axes; i++) planes *= axes[i].size;
  const size_t plane = rows.size * columns.size;
  parallel_ranges(planes, GRAIN / (16 * plane) + 1, 1, [&](size_t begin, size_t end) {
    for (size_t p = begin; p < end; p++) {
      int64_t offset = 0;
      for (size_t i = outer_axes, rest = p; i-- > 0; rest /= axes[i].size) {
        offset += static_cast<int64_t>(rest % axes[i].size) * axes[i].stride;
      }
      copy_plane(to + p * plane, from + offset, rows, columns);
    }
  });
}

// How far a view reaches from its offset: the least and the largest element it reads.
struct Reach {
  int64_t least = 0;
  int64_t most = 0;
  size_t count = 1;
};

Reach reach_of(const std::vector<int32_t>& shape, const std::vector<int32_t>& strides) {
  if (shape.size() != strides.size()) throw std::out_of_range("a view has as many strides as axes");
  Reach reach;
  for (size_t i = 0; i < shape.size(); i++) {
    if (shape[i] < 0) throw std::out_of_range("a view has a negative size");
    reach.count = product_of(reach.count, static_cast<size_t>(shape[i]));
    const int64_t last = (static_cast<int64_t>(shape[i]) - 1) * strides[i];
    if (std::max(last, -last) > Call::LARGEST) throw std::out_of_range("a view reaches too far");
    (last < 0 ? reach.least : reach.most) += last;
  }
  return reach;
}

void view(const Call& call) {
  const int element = call.small(2, 1, 8);
  const int64_t offset = call.integer(3, 0, Call::LARGEST);
  const std::vector<int32_t>&shape = call.list(0), &strides = call.list(1);
  const Reach reach = reach_of(shape, strides);
  if (reach.count == 0) return;
  if (offset + reach.least < 0) throw std::out_of_range("a view begins before its place");
  const size_t span = static_cast<size_t>(offset + reach.most) + 1;
  const std::vector<Axis> axes = joined_axes(shape, strides);
  if (element == 8) {
    copy_axes(call.words(0, reach.count), const_cast<const uint64_t*>(call.words(1, span) + offset), axes);
  } else if (element == 1) {
    copy_axes(call.bytes(0, reach.count), const_cast<const uint8_t*>(call.bytes(1, span) + offset), axes);
  } else {
    throw std::out_of_range("elements have 1 or 8 bytes");
  }
}

template <class T>
void take_elements(T* to, const T* from, const std::vector<int32_t>& indices) {
  spread(indices.size(), 2 * sizeof(T) + 4, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++) to[i] = indices[i] < 0 ? 0 : from[indices[i]];
  });
}

void take(const Call& call) {
  const int element = call.small(2, 1, 8);
  const std::vector<int32_t>& indices = call.list(0);
  int32_t least = 0, most = -1;
  for (const int32_t index : indices) {
    least = std::min(least, index);
    most = std::max(most, index);
  }
  if (least < -1) throw std::out_of_range("an index is below -1");
  const size_t span = static_cast<size_t>(most + int64_t{1});
  if (element == 8) {
    take_elements(call.words(0, indices.size()), call.words(1, span), indices);
  } else if (element == 1) {
    take_elements(call.bytes(0, indices.size()), call.bytes(1, span), indices);
  } else {
    throw std::out_of_range("elements have 1 or 8 bytes");
  }
}

// What lies where in an ndarray: what NumPy's own macros compile into every extension module, and
// so the same in all its versions. Reading it spares the buffer protocol, which takes longer than
// all else that is done for a small tensor.
//
// The module checks at import that NumPy's arrays are like this (binding/dict_items.pxi).
#ifndef FASTCKPT_BINDING_NDARRAY_FIELDS_H_
#define FASTCKPT_BINDING_NDARRAY_FIELDS_H_

#include <Python.h>

#include "base/prefetch.h"

namespace fastckpt::binding {

struct NdarrayFields {
  PyObject head;
  void* data;
  int rank;
  Py_ssize_t* shape;  // in one block with the strides
  Py_ssize_t* strides;
  PyObject* base;
  PyObject* dtype;
  int flags;
};

#ifdef Py_GIL_DISABLED
constexpr bool kIsFreeThreaded = true;
#else
constexpr bool kIsFreeThreaded = false;
#endif

constexpr int kIsContiguous = 1;  // NPY_ARRAY_C_CONTIGUOUS

inline const NdarrayFields* FieldsOf(PyObject* array) {
  return reinterpret_cast<const NdarrayFields*>(array);
}

inline bool IsExactly(PyObject* object, PyObject* type) {
  return Py_IS_TYPE(object, reinterpret_cast<PyTypeObject*>(type));
}

inline void PrefetchObject(PyObject* object) {
  Prefetch(object);
  Prefetch(reinterpret_cast<const char*>(object) + 64);
}

// Takes up to `capacity` items of a dict from `position` on, as borrowed references, and lets the
// memory of keys and values come. The caller holds the GIL; nothing else guards the references.
inline std::size_t NextItems(PyObject* dict, Py_ssize_t* position, std::size_t capacity,
                             PyObject** keys, PyObject** values) {
  std::size_t count = 0;
  while (count < capacity && PyDict_Next(dict, position, &keys[count], &values[count])) {
    PrefetchObject(keys[count]);
    PrefetchObject(values[count]);
    ++count;
  }
  return count;
}

}  // namespace fastckpt::binding

#endif  // FASTCKPT_BINDING_NDARRAY_FIELDS_H_

// Turns C++ exceptions into Python ones; the only error code at the boundary.
#ifndef FASTCKPT_BINDING_TRANSLATE_H_
#define FASTCKPT_BINDING_TRANSLATE_H_

#include <Python.h>

#include <new>

#include "base/error.h"

namespace fastckpt::binding {

// The Python exception for `error`, made by fastckpt.errors.from_core; a new reference, or null
// with a Python exception set.
inline PyObject* ToPython(const Error& error) {
  PyObject* const module = PyImport_ImportModule("fastckpt.errors");
  if (module == nullptr) return nullptr;
  PyObject* offset = Py_None;
  Py_INCREF(Py_None);
  if (error.offset()) {
    Py_DECREF(offset);
    offset = PyLong_FromUnsignedLongLong(*error.offset());
  }
  PyObject* key = Py_None;
  Py_INCREF(Py_None);
  if (error.key()) {
    Py_DECREF(key);
    key = PyBytes_FromStringAndSize(error.key()->data(),
                                    static_cast<Py_ssize_t>(error.key()->size()));
  }
  PyObject* const path = PyUnicode_DecodeFSDefaultAndSize(
      error.path().data(), static_cast<Py_ssize_t>(error.path().size()));
  PyObject* const message = PyUnicode_DecodeUTF8(
      error.message().data(), static_cast<Py_ssize_t>(error.message().size()), "backslashreplace");
  PyObject* const result =
      PyObject_CallMethod(module, "from_core", "iNNNNi", static_cast<int>(error.code()), message,
                          path, offset, key, error.system_error());
  Py_DECREF(module);
  return result;
}

// Cython calls this inside a catch block, with the GIL held.
inline void Translate() {
  try {
    throw;
  } catch (const Error& error) {
    PyObject* const exception = ToPython(error);
    if (exception == nullptr) return;
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception)), exception);
    Py_DECREF(exception);
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
}

}  // namespace fastckpt::binding

#endif  // FASTCKPT_BINDING_TRANSLATE_H_

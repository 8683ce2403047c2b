# The fields of an ndarray as the binding sees them. Contracts are in src/binding/ndarray_fields.h.
from cpython.object cimport PyObject
from libcpp cimport bool as cbool


cdef extern from "base/prefetch.h" namespace "fastckpt" nogil:
    void Prefetch(const void*)


cdef extern from "ndarray_fields.h" namespace "fastckpt::binding":
    cbool is_free_threaded "fastckpt::binding::kIsFreeThreaded"
    int kIsContiguous

    ctypedef struct NdarrayFields:
        void* data
        int rank
        Py_ssize_t* shape
        Py_ssize_t* strides
        PyObject* base
        PyObject* dtype
        int flags

    const NdarrayFields* FieldsOf(PyObject*)
    cbool IsExactly(PyObject*, PyObject*)
    size_t NextItems(PyObject*, Py_ssize_t*, size_t, PyObject**, PyObject**)

"""The binding: buffers, scalars and errors between Python and the C++ core, and nothing else."""
from cpython.buffer cimport (
    PyBuffer_FillInfo, PyBuffer_Release, PyBUF_SIMPLE, PyBUF_STRIDES, PyBUF_WRITABLE,
    PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_CheckSignals
from cython.operator cimport dereference as deref
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libcpp.memory cimport make_shared, shared_ptr, unique_ptr
from libcpp.string cimport string
from libcpp.vector cimport vector

from cpp cimport (
    ActiveKernel, Arena, Backend, ByteView, CombineCrcs, DamagedRange, Entry, EntryStatus, Error,
    Extend,
    FindParts, Index, IsNormal, IsPlain, Kernels, kInlineBytes, LoadPlan, milliseconds,
    NeedsNormalising, ParseStrings, ParseVariants, Part, Placement, Reader, ReaderOptions,
    ReadStrided, RegionCheck, ResetThreadPoolAfterFork, ShapeView, Source, StoredBytes, StoredSize,
    StridedDim, string_view, StringError, StringLayout, SwapUnit, ToPython, Transfer,
    TransferFailure, TransferJob, TransferOptions, VariantError, VariantLayout, VariantTypeName,
)

from merge_cpp cimport Discard, MergeOptions, Merger
from ndarray_fields cimport (
    FieldsOf, IsExactly, is_free_threaded, kIsContiguous, NdarrayFields, NextItems, Prefetch,
)
from traced_cpp cimport ChangeRecord, RecordingFileSystem
from writer_cpp cimport (
    AllocateArena, CopyJob, CopyTask, Extent, InputList, IsSliceKey, Job, MakeByteView,
    MakeMutableBytes, StoredItems, WriteJob, Writer, WriterOptions,
)

from threading import RLock

import numpy as np

from fastckpt.errors import InvalidArgumentError, TensorNotFoundError, UnsupportedError

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL
    object PyUnicode_DecodeUTF8(const char*, Py_ssize_t, const char*)
    object PyUnicode_DecodeFSDefaultAndSize(const char*, Py_ssize_t)
    object PyBytes_FromStringAndSize(const char*, Py_ssize_t)
    object PyObject_CallFunctionObjArgs(object, ...)
    object PyLong_FromLongLong(long long)
    object PyTuple_New(Py_ssize_t)
    int PyTuple_SetItem(object, Py_ssize_t, PyObject*) except -1
    object PyList_New(Py_ssize_t)
    int PyList_SetItem(object, Py_ssize_t, PyObject*) except -1
    const char* AsUtf8 "PyUnicode_AsUTF8AndSize"(PyObject*, Py_ssize_t*)
    void PyErr_Clear()
    void Py_INCREF(object)
    void IncRef "Py_INCREF"(PyObject*)
    void DecRef "Py_DECREF"(PyObject*)
    int PyGC_Disable()
    int PyGC_Enable()
    ctypedef struct PyObject:
        pass

cdef object ndarray = np.ndarray

# Below this, releasing the GIL costs more than holding it.
cdef uint64_t RELEASE_BYTES = 64 << 10

# Part::kMissing.
cdef uint32_t MISSING = 0xFFFFFFFF


def crc_kernels():
    """Name of each CRC kernel in this binary that this machine supports, fastest first."""
    cdef size_t i
    kernels = Kernels()
    return [kernels[i].name.decode() for i in range(kernels.size()) if kernels[i].supported()]


def crc_kernel():
    """Name of the CRC kernel in use."""
    return ActiveKernel().name.decode()


def crc32c(data, uint32_t crc=0):
    """CRC-32C of a contiguous buffer, continuing from the finished value `crc`."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, 0)
    try:
        with nogil:
            crc = Extend(crc, view.buf, <size_t>view.len)
    finally:
        PyBuffer_Release(&view)
    return crc


def crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t size_b):
    """Checksum of two byte strings that follow each other, from theirs and the second's size."""
    return CombineCrcs(crc_a, crc_b, size_b)


def is_slice_key(bytes key):
    """Whether these bytes are the key of a slice of a partitioned tensor."""
    return IsSliceKey(string_view(<const char*>key, <size_t>len(key)))


def reset_after_fork():
    """Give a forked child a thread pool of its own."""
    ResetThreadPoolAfterFork()


cdef object decode(string_view text):
    return PyUnicode_DecodeUTF8(text.data(), <Py_ssize_t>text.size(), "surrogateescape")


cdef object as_bytes(ByteView view):
    return PyBytes_FromStringAndSize(<const char*>view.data(), <Py_ssize_t>view.size())


cdef object file_name(const string& path):
    return PyUnicode_DecodeFSDefaultAndSize(path.data(), <Py_ssize_t>path.size())


cdef object shape_tuple(ShapeView shape):
    cdef size_t i
    result = PyTuple_New(<Py_ssize_t>shape.size())
    for i in range(shape.size()):
        dim = PyLong_FromLongLong(shape[i])
        Py_INCREF(dim)
        PyTuple_SetItem(result, <Py_ssize_t>i, <PyObject*>dim)
    return result


cdef object shape_list(ShapeView shape):
    cdef size_t i
    result = PyList_New(<Py_ssize_t>shape.size())
    for i in range(shape.size()):
        dim = PyLong_FromLongLong(shape[i])
        Py_INCREF(dim)
        PyList_SetItem(result, <Py_ssize_t>i, <PyObject*>dim)
    return result


cdef object decode_bytes(const string& text):
    return decode(string_view(text.data(), text.size()))


include "arrays.pxi"
include "regions.pxi"
include "bundle_reader.pxi"
include "listing.pxi"
include "load_job.pxi"
include "traced_files.pxi"
include "dict_items.pxi"
include "tensor_batch.pxi"
include "bundle_writer.pxi"
include "merge.pxi"
include "snapshot.pxi"
include "legacy.pxi"
include "legacy_writer.pxi"
include "files.pxi"

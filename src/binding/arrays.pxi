# Arrays over memory that the core owns.

cdef object make_array(bundle, uint32_t entry_id, shape, dtype, owner, uint64_t offset_bytes):
    """Array over the buffer of `owner`, which it keeps alive."""
    offset = PyLong_FromLongLong(<long long>offset_bytes)
    try:
        return PyObject_CallFunctionObjArgs(ndarray, <PyObject*>shape, <PyObject*>dtype,
                                            <PyObject*>owner, <PyObject*>offset, NULL)
    except ValueError as error:
        # More dimensions than NumPy has, or strides that do not fit.
        raise UnsupportedError(
            f"NumPy cannot hold shape {shape}: {error}", key=bundle.name(entry_id)
        ) from error


cdef class Region:
    """The read-only bytes of one mapped file; arrays over it keep the map alive."""

    cdef shared_ptr[const Source] source

    def __getbuffer__(self, Py_buffer* view, int flags):
        cdef const Source* source = self.source.get()
        PyBuffer_FillInfo(view, self, <void*>source.data(), <Py_ssize_t>source.size(), 1, flags)


cdef class Memory:
    """Writable memory that the arrays of one load share; each of them keeps it alive."""

    cdef shared_ptr[Arena] arena
    # No array over it is ever given to callers.
    cdef bint is_private

    def __getbuffer__(self, Py_buffer* view, int flags):
        memory = self.arena.get().bytes()
        PyBuffer_FillInfo(view, self, <void*>memory.data(), <Py_ssize_t>memory.size(), 0, flags)

# Copies of arrays that are about to change.

cdef class Snapshot:
    """Memory for copies of arrays, kept from one use to the next."""

    cdef Memory memory

    def __cinit__(self):
        self.memory = None

    @property
    def nbytes(self):
        """Bytes that are held."""
        return 0 if self.memory is None else self.memory.arena.get().bytes().size()

    def take(self, arrays, int num_threads):
        """Copy arrays; the copies are contiguous, share this memory and keep dtype and shape."""
        cdef vector[Py_buffer] views
        cdef vector[CopyTask] tasks
        cdef vector[uint64_t] offsets
        cdef uint64_t total = 0
        cdef Py_buffer view
        cdef size_t i
        try:
            for array in arrays:
                PyObject_GetBuffer(array, &view, PyBUF_STRIDES)
                views.push_back(view)
                offsets.push_back(total)
                # Every copy begins on a cache line.
                total += (<uint64_t>view.len + 63) // 64 * 64
            self._reserve(total)
            for i in range(views.size()):
                tasks.push_back(self._task(&views[i], offsets[i]))
            self._copy(tasks, num_threads)
        finally:
            for i in range(views.size()):
                PyBuffer_Release(&views[i])
        memory = self.memory
        return [
            ndarray(array.shape, array.dtype, memory, offset) if array.nbytes
            else ndarray(array.shape, array.dtype)
            for array, offset in zip(arrays, list(offsets), strict=True)
        ]

    cdef int _reserve(self, uint64_t size) except -1:
        cdef Memory fresh
        if self.memory is not None and self.memory.arena.get().bytes().size() >= size:
            return 0
        # Never two at a time.
        self.memory = None
        fresh = Memory.__new__(Memory)
        fresh.is_private = True
        with nogil:
            fresh.arena = AllocateArena(<size_t>size if size > 0 else 1)
        self.memory = fresh
        return 0

    cdef CopyTask _task(self, Py_buffer* view, uint64_t offset):
        cdef CopyTask task
        cdef int d
        task.source.data = <const uint8_t*>view.buf
        task.source.item_size = <uint32_t>view.itemsize
        for d in range(view.ndim):
            task.source.shape.push_back(view.shape[d])
            task.source.strides.push_back(view.strides[d])
        memory = self.memory.arena.get().bytes()
        task.destination = MakeMutableBytes(memory.data() + offset, <size_t>view.len)
        return task

    cdef int _copy(self, vector[CopyTask]& tasks, int num_threads) except -1:
        cdef CopyJob* job = NULL
        cdef bint done = False
        try:
            with nogil:
                job = new CopyJob(tasks, num_threads)
            while not done:
                with nogil:
                    done = job.WaitFor(milliseconds(50))
                PyErr_CheckSignals()
        finally:
            with nogil:
                del job
        return 0

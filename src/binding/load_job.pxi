# Transfers that run on the thread pool while Python looks after signals and progress.

cdef class LoadJob:
    """Transfers under way; their memory and files stay in use until this object is gone."""

    cdef TransferJob* job
    cdef BundleReader bundle
    cdef list memories
    cdef vector[uint32_t] ids
    cdef vector[Placement] placements
    cdef vector[Py_buffer] views
    cdef bint makes_arrays

    def __dealloc__(self):
        cdef size_t i
        with nogil:
            del self.job
        for i in range(self.views.size()):
            PyBuffer_Release(&self.views[i])

    cdef int start_load(self, BundleReader bundle, ids, int num_threads,
                        bint in_background) except -1:
        self.ids = ids
        self.bundle = bundle
        self.makes_arrays = True
        cdef LoadPlan* plan = new LoadPlan(deref(bundle.reader), self.ids)
        cdef Memory memory
        cdef size_t i
        try:
            self.memories = []
            for i in range(plan.arenas.size()):
                memory = Memory.__new__(Memory)
                memory.arena = plan.arenas[i]
                self.memories.append(memory)
            self.placements = plan.placements
            self._start(plan.transfers, num_threads, bundle.verify, False, in_background)
        finally:
            del plan
        return 0

    cdef int start_into(self, BundleReader bundle, ids, buffers, int num_threads, bint verify,
                        bint keep_going) except -1:
        cdef vector[Transfer] transfers
        cdef size_t i
        self.ids = ids
        self.bundle = bundle
        transfers.resize(self.ids.size())
        for i in range(self.ids.size()):
            transfers[i].id = self.ids[i]
            if buffers is not None:
                transfers[i].destination = self._take(buffers[i], self.ids[i])
        self._start(transfers, num_threads, verify, keep_going, False)
        return 0

    cdef uint8_t* _take(self, buffer, uint32_t entry_id) except NULL:
        cdef Py_buffer view
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        self.views.push_back(view)
        if <uint64_t>view.len != self.bundle.reader.entry(entry_id).size:
            raise ValueError("buffer size differs from the stored size")
        return <uint8_t*>view.buf

    cdef int _start(self, const vector[Transfer]& transfers, int num_threads, bint verify,
                    bint keep_going, bint in_background) except -1:
        cdef TransferOptions options
        cdef uint64_t total = 0
        cdef size_t i
        for i in range(self.ids.size()):
            if total < kInlineBytes:
                total += self.bundle.reader.entry(self.ids[i]).size
        options.verify = verify
        options.keep_going = keep_going
        # A check that stops at damage comes before the bytes are looked at.
        options.keep_cached = not self.makes_arrays and not self.views.size() and not keep_going
        options.in_background = in_background
        # Little work is done at once on the calling thread; waking another costs more.
        options.num_threads = num_threads if total >= kInlineBytes else 0
        with nogil:
            self.job = new TransferJob(<shared_ptr[const Reader]>self.bundle.owner, transfers,
                                       options)
        return 0

    def wait(self, report=None):
        """Wait until done, looking after signals; `report(bytes, tensors, name)` may cancel.

        The list of arrays of a load, None for what has no plain dtype; empty for the others.
        """
        cdef bint done = False
        while not done:
            with nogil:
                done = self.job.WaitFor(milliseconds(50))
            PyErr_CheckSignals()
            if report is not None:
                name = decode(self.bundle.reader.name(self.job.current_id())) if len(self) else ""
                report(self.job.bytes_done(), self.job.tensors_done(), name)
        return [self._array(i) for i in range(self.ids.size())] if self.makes_arrays else []

    def __len__(self):
        return self.ids.size()

    @property
    def bytes_read(self):
        """Bytes read so far, without what could not be."""
        return self.job.bytes_read()

    def failures(self):
        """``(entry id, error)`` of every transfer that failed; complete after :meth:`wait`."""
        cdef vector[TransferFailure] failures = self.job.TakeFailures()
        cdef size_t i
        return [(failures[i].id, ToPython(failures[i].error)) for i in range(failures.size())]

    cdef object _array(self, size_t i):
        cdef const Entry* entry = &self.bundle.reader.entry(self.ids[i])
        if entry.sliced or not IsPlain(entry.dtype):
            return None
        shape = shape_tuple(self.bundle.reader.index().shape(deref(entry)))
        dtype = self.bundle._dtype(entry.dtype)
        memory = self.memories[self.placements[i].arena]
        offset = self.placements[i].offset
        return make_array(self.bundle, self.ids[i], shape, dtype, memory, offset)

# Merging tensor bundles.

cdef class BundleMerger:
    """Tensor bundles that become one; the inputs are read and checked at construction."""

    cdef unique_ptr[Merger] owner
    cdef Merger* merger

    def __cinit__(self, list prefixes, bytes destination, *, bint consume, bint sync,
                  bint complete_slices, int num_threads):
        cdef vector[string] inputs = prefixes
        cdef string output = destination
        cdef MergeOptions options
        options.consume = consume
        options.sync = sync
        options.complete_slices = complete_slices
        options.num_threads = num_threads
        with nogil:
            self.owner = Merger.Create(inputs, output, options)
        self.merger = self.owner.get()

    def __dealloc__(self):
        with nogil:
            self.owner.reset()

    @property
    def nbytes(self):
        """Bytes of the data files."""
        return self.merger.bytes_total()

    def run(self, report):
        """Merge, once; `report(bytes, tensors, name)` may cancel."""
        cdef bint done = False
        cdef Job* job
        try:
            with nogil:
                job = &self.merger.Start()
            while not done:
                with nogil:
                    done = job.WaitFor(milliseconds(50))
                PyErr_CheckSignals()
                if report is not None:
                    report(self.merger.bytes_done(), self.merger.num_entries() if done else 0, "")
            with nogil:
                self.merger.Commit()
        except BaseException:
            with nogil:
                self.merger.Abort()
            raise


def discard(bytes prefix):
    """Remove what is at a prefix, index first, unless a live writer owns it."""
    cdef string path = prefix
    with nogil:
        Discard(path, NULL)

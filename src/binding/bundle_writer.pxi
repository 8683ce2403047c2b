# Writing a tensor bundle.

# Tensors that are handed over together: their buffers are held until they are written.
cdef size_t BATCH_TENSORS = 16384
# Smaller tensors hold no whole chunk, and are not worth a look at where their memory is from.
cdef Py_ssize_t FROZEN_BYTES = 1 << 20


def total_nbytes(values, int64_t limit):
    """Bytes of array-likes together, as far as they say; counting stops at `limit`."""
    cdef int64_t total = 0
    for value in values:
        if type(value) is tuple and len(value) == 2:
            value = value[0]
        nbytes = getattr(value, "nbytes", 0)
        if isinstance(nbytes, int):
            total += nbytes
            if total >= limit:
                break
    return total


cdef bint has_no_writer(array):
    """Whether nobody can change the memory of an array, not even by another array.

    Flags do not tell: an array that is read-only may have writable views of older date.
    """
    while type(array) is ndarray:
        base = array.base
        if isinstance(base, Memory):
            return (<Memory>base).is_private
        array = base
    if isinstance(array, memoryview):
        array = array.obj
    return isinstance(array, bytes)


cdef class TensorBatch:
    """Tensors on their way to the writer; it holds their memory until it is gone."""

    cdef InputList list
    cdef vector[Py_buffer] views
    cdef list held

    def __cinit__(self):
        self.held = []

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.views.size()):
            PyBuffer_Release(&self.views[i])

    cdef string_view _name(self, name) except *:
        """Bytes of a name, which stay as long as the batch."""
        cdef Py_ssize_t size
        cdef const char* text
        if type(name) is str:
            self.held.append(name)
            text = PyUnicode_AsUTF8AndSize(name, &size)
            return string_view(text, <size_t>size)
        self.held.append(name)
        return string_view(<const char*>name, <size_t>len(<bytes>name))

    cdef int add_array(self, string_view name, int number, array, bint swapped) except -1:
        cdef Py_buffer view
        PyObject_GetBuffer(array, &view, PyBUF_STRIDES)
        self.views.push_back(view)
        self.list.AddPlain(name, number, <size_t>view.ndim, <const int64_t*>view.shape,
                           <const int64_t*>view.strides, view.buf, swapped)
        if view.len >= FROZEN_BYTES and has_no_writer(array):
            self.list.SetFrozen()
        return 0

    cdef int add_elements(self, string_view name, int number, shape, elements) except -1:
        cdef vector[int64_t] dims = shape
        cdef vector[ByteView] views
        cdef bytes element
        views.reserve(len(elements))
        for element in elements:
            views.push_back(MakeByteView(<const uint8_t*><const char*>element, len(element)))
        self.held.append(elements)
        self.list.AddElements(name, number, dims.size(), dims.data(), views)
        return 0

    cdef int add_input(self, bytes name, item) except -1:
        """One ``Input`` of checkpoint/inputs.py."""
        key = self._name(name)
        number, shape, array, elements, records = item
        if array is None:
            return self.add_elements(key, number, shape, records if elements is None else elements)
        swapped = not array.dtype.isnative
        # Shape and memory alone matter; some dtypes export no buffer.
        return self.add_array(key, number, array, swapped)


cdef class BundleWriter:
    """A tensor bundle under construction; `files` traces what it does to files.

    Threads wait for each other. A callable that runs while the writer is at work must not use it.
    """

    # The writer's way to its files: they go after it.
    cdef shared_ptr[RecordingFileSystem] files
    cdef unique_ptr[Writer] owner
    cdef Writer* writer
    cdef dict numbers
    cdef object prepare
    cdef object check_name
    cdef object lock
    cdef bint at_work

    def __cinit__(self, prefix, *, int num_shards, uint64_t alignment, bint block_crcs, bint sync,
                  bint complete_slices, int num_threads, dict numbers, prepare, check_name,
                  bint direct=False, TracedFiles files=None):
        cdef string path = prefix
        cdef WriterOptions options
        options.num_shards = num_shards
        options.alignment = alignment
        options.block_crcs = block_crcs
        options.sync = sync
        options.complete_slices = complete_slices
        options.direct = direct
        options.num_threads = num_threads
        if files is not None:
            self.files = files.files
        with nogil:
            if self.files:
                self.owner = Writer.Create(path, options, deref(self.files))
            else:
                self.owner = Writer.Create(path, options)
        self.writer = self.owner.get()
        self.numbers = numbers
        self.prepare = prepare
        self.check_name = check_name
        self.lock = RLock()
        self.at_work = False

    def __dealloc__(self):
        with nogil:
            self.owner.reset()

    cdef int _check_idle(self) except -1:
        if self.at_work:
            raise InvalidArgumentError(
                "the writer is used by the progress callable or by a signal handler while it is "
                "at work; raise an exception there, which cancels the save"
            )
        return 0

    def add_all(self, items, report):
        """Write ``(name, value)`` pairs; `report(bytes, tensors, name)` may cancel.

        Arrays of the dtypes in `numbers` are taken as they are, all else goes through `prepare`.
        """
        with self.lock:
            self._add_all(items, report)

    cdef int _add_all(self, items, report) except -1:
        cdef TensorBatch batch = TensorBatch.__new__(TensorBatch)
        cdef uint64_t first_byte = self.writer.stored_bytes()
        cdef size_t first_tensor = self.writer.num_tensors()
        cdef string_view key
        for name, value in items:
            number = self.numbers.get(value.dtype) if type(value) is ndarray else None
            if number is None or type(name) is not str:
                batch.add_input(self.check_name(name), self.prepare(name, value))
            else:
                key = self._key(batch, name)
                batch.add_array(key, number, value, False)
            if batch.list.size() >= BATCH_TENSORS:
                self._write(batch, report, first_byte, first_tensor)
                batch = TensorBatch.__new__(TensorBatch)
        self._write(batch, report, first_byte, first_tensor)
        return 0

    cdef string_view _key(self, TensorBatch batch, str name) except *:
        cdef string_view key
        try:
            key = batch._name(name)
        except UnicodeEncodeError:
            return batch._name(self.check_name(name))
        if key.size() == 0 or key.data()[0] == 0:
            return batch._name(self.check_name(name))
        return key

    def add(self, bytes name, item, report, *, int shard=-1, extents=None, full_shape=None):
        """Write one tensor, or the slice of one that `extents` and `full_shape` place."""
        cdef TensorBatch batch = TensorBatch.__new__(TensorBatch)
        cdef vector[Extent] places
        cdef Extent place
        batch.add_input(name, item)
        batch.list.SetShard(shard)
        if extents is not None:
            for place.start, place.length in extents:
                places.push_back(place)
            batch.list.MakeSlice(places, full_shape)
        with self.lock:
            self._write(batch, report, 0, 0)

    cdef int _write(self, TensorBatch batch, report, uint64_t first_byte,
                    size_t first_tensor) except -1:
        """Write a batch; what is reported counts from `first_byte` and `first_tensor` on."""
        cdef bint done = False
        cdef WriteJob* job = NULL
        cdef uint64_t bytes_before = self.writer.stored_bytes() - first_byte
        cdef size_t tensors_done = self.writer.num_tensors()
        cdef uint32_t item
        self._check_idle()
        if batch.list.size() == 0:
            return 0
        self.at_work = True
        try:
            with nogil:
                job = &self.writer.Add(batch.list.inputs())
            while not done:
                with nogil:
                    done = job.WaitFor(milliseconds(50))
                PyErr_CheckSignals()
                if report is not None:
                    item = job.current_item()
                    if done:
                        tensors_done = self.writer.num_tensors()
                    elif tensors_done < item < self.writer.num_tensors():
                        tensors_done = item
                    report(bytes_before + job.bytes_done(), tensors_done - first_tensor,
                           self._item_name(item))
        except BaseException:
            if job != NULL:
                # It must let go of the arrays before the batch does.
                with nogil:
                    self.writer.Abort()
            raise
        finally:
            self.at_work = False
        return 0

    cdef object _item_name(self, uint32_t item):
        cdef const StoredItems* items = &self.writer.items()
        if item >= items.size():
            return ""
        return decode(items.key(deref(items)[item]))

    def add_companion(self, str suffix, bytes content):
        """Let ``prefix + suffix`` appear with the checkpoint."""
        cdef string name = suffix.encode()
        with self.lock:
            self._check_idle()
            self.writer.AddCompanion(name, MakeByteView(<const uint8_t*><const char*>content,
                                                        len(content)))

    def commit(self):
        """Sync what was written and make it visible."""
        with self.lock:
            self._commit()

    cdef int _commit(self) except -1:
        cdef bint done = False
        cdef Job* job
        self._check_idle()
        self.at_work = True
        try:
            with nogil:
                job = &self.writer.Finish()
            while not done:
                with nogil:
                    done = job.WaitFor(milliseconds(50))
                PyErr_CheckSignals()
            with nogil:
                self.writer.Commit()
        except BaseException:
            with nogil:
                self.writer.Abort()
            raise
        finally:
            self.at_work = False
        return 0

    def abort(self):
        """Remove all that was written; does nothing after a commit or another abort."""
        with self.lock:
            self._check_idle()
            with nogil:
                self.writer.Abort()

    @property
    def num_tensors(self):
        """Entries with bytes so far, slices included."""
        return self.writer.num_tensors()

    @property
    def stored_bytes(self):
        """Bytes laid out so far."""
        return self.writer.stored_bytes()

# Writing a tensor bundle.

# Tensors that are handed over together: their buffers are held until they are written.
cdef size_t BATCH_TENSORS = 4096


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
    # The batch that is being written, its job, and what was there before it.
    cdef TensorBatch batch
    cdef WriteJob* job
    cdef uint64_t bytes_before
    cdef size_t tensors_before
    # Where the call began to count.
    cdef uint64_t first_byte
    cdef size_t first_tensor
    # What `numbers` says of the dtype that was looked up last.
    cdef object last_dtype
    cdef int32_t last_number
    cdef int64_t last_item_size

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
        self.job = NULL

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
        """Write the items of a dict, or ``(name, value)`` pairs.

        Arrays of the dtypes in `numbers` are taken as they are, all else goes through `prepare`.
        A batch is written while the next is collected; `report(bytes, tensors, name)` may cancel.
        """
        with self.lock:
            self._check_idle()
            self._wait(None)
            self.first_byte = self.writer.stored_bytes()
            self.first_tensor = self.writer.num_tensors()
            try:
                if type(items) is dict and KNOWS_NDARRAYS:
                    self._add_dict(items, report)
                else:
                    self._add_pairs(items.items() if isinstance(items, dict) else items, report)
                self._wait(report)
            except BaseException:
                self._drop()
                raise

    cdef int _add_pairs(self, items, report) except -1:
        cdef TensorBatch batch = TensorBatch()
        cdef string_view key
        for name, value in items:
            number = self.numbers.get(value.dtype) if type(value) is ndarray else None
            if number is None or type(name) is not str:
                batch.add_input(self.check_name(name), self.prepare(name, value))
            else:
                key = self._key(batch, name)
                batch.add_array(key, number, value, False)
            if batch.list.size() >= BATCH_TENSORS:
                batch = self._start(batch, report)
        self._start(batch, report)
        return 0

    cdef int _add_dict(self, dict tensors, report) except -1:
        cdef PyObject* names[LOOK_AHEAD]
        cdef PyObject* values[LOOK_AHEAD]
        cdef Py_ssize_t position = 0
        cdef Py_ssize_t size = len(tensors)
        cdef size_t count
        cdef TensorBatch batch = TensorBatch(min(<size_t>size, BATCH_TENSORS + LOOK_AHEAD))
        self.writer.Expect(<size_t>size)
        while True:
            if len(tensors) != size:
                raise RuntimeError("the dict of tensors changed its size during the save")
            count = NextItems(<PyObject*>tensors, &position, LOOK_AHEAD, names, values)
            if count == 0:
                break
            batch.hold(count, names)
            batch.hold(count, values)
            self._add_items(batch, count, names, values)
            if batch.list.size() >= BATCH_TENSORS:
                batch = self._start(batch, report)
        self._start(batch, report)
        return 0

    cdef int _add_items(self, TensorBatch batch, size_t count, PyObject** names,
                        PyObject** values) except -1:
        cdef size_t i
        for i in range(count):
            if is_plain_array(values[i]):
                Prefetch(FieldsOf(values[i]).shape)
        for i in range(count):
            if not self._add_plain(batch, names[i], values[i]):
                name = <object>names[i]
                batch.add_input(self.check_name(name), self.prepare(name, <object>values[i]))
        return 0

    cdef bint _add_plain(self, TensorBatch batch, PyObject* name, PyObject* value) except -1:
        """Add an array by its fields; False, and nothing is done, where those do not tell all."""
        cdef const NdarrayFields* fields = FieldsOf(value)
        cdef const int64_t* strides = NULL
        cdef const char* text
        cdef Py_ssize_t size
        if not is_plain_array(value) or not IsExactly(name, <PyObject*>str):
            return False
        if fields.dtype != <PyObject*>self.last_dtype:
            number = self.numbers.get(<object>fields.dtype)
            if number is None:
                return False
            self.last_dtype = <object>fields.dtype
            self.last_number = number
            self.last_item_size = self.last_dtype.itemsize
        text = AsUtf8(name, &size)
        if text == NULL:
            PyErr_Clear()
            return False
        if size == 0 or text[0] == 0:
            return False
        if not fields.flags & kIsContiguous:
            strides = <const int64_t*>fields.strides
        batch.list.AddPlain(string_view(text, <size_t>size), self.last_number,
                            <size_t>fields.rank, <const int64_t*>fields.shape, strides,
                            fields.data, False)
        if count_elements(fields) * self.last_item_size >= FROZEN_BYTES:
            if is_snapshot(<object>value):
                batch.list.SetFrozen()
        return True

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
        cdef TensorBatch batch = TensorBatch()
        cdef vector[Extent] places
        cdef Extent place
        batch.add_input(name, item)
        batch.list.SetShard(shard)
        if extents is not None:
            for place.start, place.length in extents:
                places.push_back(place)
            batch.list.MakeSlice(places, full_shape)
        with self.lock:
            self._start(batch, report)
            self._wait(report)

    cdef TensorBatch _start(self, TensorBatch batch, report):
        """Let a batch be written when the one before is; _wait sees it through.

        Returns a batch for the tensors that come next.
        """
        cdef TensorBatch before = self.batch
        self._check_idle()
        self._wait(report)
        if batch.list.size() == 0:
            return batch
        self.bytes_before = self.writer.stored_bytes()
        self.tensors_before = self.writer.num_tensors()
        with nogil:
            self.job = &self.writer.Add(batch.list.inputs())
        self.batch = batch
        if before is None:
            return TensorBatch(batch.list.size())
        before.clear()
        return before

    cdef int _wait(self, report) except -1:
        """See the batch under way through, if there is one; `report(bytes, tensors, name)`."""
        cdef bint done = False
        if self.batch is None:
            return 0
        self.at_work = True
        try:
            while not done:
                with nogil:
                    done = self.job.WaitFor(milliseconds(50))
                PyErr_CheckSignals()
                if report is not None:
                    self._report(report, done)
        except BaseException:
            self._drop()
            raise
        finally:
            self.at_work = False
        self.batch = None
        self.job = NULL
        return 0

    cdef void _drop(self):
        """Give up; the job lets go of the arrays before the batch does."""
        with nogil:
            self.writer.Abort()
        self.batch = None
        self.job = NULL

    cdef int _report(self, report, bint done) except -1:
        cdef uint32_t item = self.job.current_item()
        cdef size_t tensors = self.tensors_before
        if done:
            tensors = self.writer.num_tensors()
        elif tensors < item < self.writer.num_tensors():
            tensors = item
        report(self.bytes_before + self.job.bytes_done() - self.first_byte,
               tensors - self.first_tensor, self._item_name(item))
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
            self._wait(None)
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
        self._wait(None)
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
            self._drop()

    @property
    def num_tensors(self):
        """Entries with bytes so far, slices included."""
        return self.writer.num_tensors()

    @property
    def stored_bytes(self):
        """Bytes laid out so far."""
        return self.writer.stored_bytes()

# Opening a tensor bundle; what its index says, and its bytes.

cdef class BundleReader:
    """An open tensor bundle. Tensors are named by entry ids, which :meth:`find` gives."""

    cdef shared_ptr[Reader] owner
    cdef Reader* reader
    cdef list regions
    cdef list dtypes
    cdef object resolve
    cdef bint verify
    cdef int num_threads_

    def __cinit__(self, prefix, *, int backend, bint verify, bint skip_damage, int num_threads,
                  resolve_dtype):
        cdef string path = prefix
        cdef ReaderOptions options
        options.backend = <Backend>backend
        options.skip_damage = skip_damage
        with nogil:
            self.owner = Reader.Open(path, options)
        self.reader = self.owner.get()
        self.verify = verify
        self.num_threads_ = num_threads
        self.resolve = resolve_dtype
        self.dtypes = [None] * 128
        self.regions = [self._region(i) for i in range(self.reader.shards().size())]

    cdef object _region(self, size_t slot):
        cdef Region region = Region.__new__(Region)
        region.source = self.reader.shards()[slot].source
        if region.source.get() == NULL or region.source.get().data() == NULL:
            return None
        # NumPy first asks for a writable buffer; a memoryview says no four times as fast.
        return memoryview(region)

    # --- what the index says -------------------------------------------------------------------

    def __len__(self):
        return self.reader.index().num_visible()

    def find(self, str name not None):
        """Entry id of a tensor; TensorNotFoundError when there is none."""
        return self._find(name)

    cdef uint32_t _find(self, str name) except? 0xFFFFFFFF:
        cdef Py_ssize_t size
        cdef const char* text
        try:
            text = PyUnicode_AsUTF8AndSize(name, &size)
        except UnicodeEncodeError:
            raw = name.encode("utf-8", "surrogateescape")
            return self.reader.Find(string_view(<const char*>raw, <size_t>len(raw)))
        return self.reader.Find(string_view(text, <size_t>size))

    def find_all(self, names):
        """Entry id of each of these tensors; None where there is none."""
        cdef list found = []
        for name in names:
            try:
                entry_id = self._find(name)
            except TensorNotFoundError:
                entry_id = None
            found.append(entry_id)
        return found

    def types_and_shapes(self, ids):
        """``(DataType number, shape)`` of each of these entries."""
        cdef const Entry* entry
        cdef list found = []
        for entry_id in ids:
            entry = &self.reader.CheckEntry(entry_id)
            shape = shape_tuple(self.reader.index().shape(deref(entry)))
            found.append((entry.dtype, shape))
        return found

    def ids(self):
        """Entry ids of all tensors, in name order."""
        cdef size_t i
        cdef const Index* index = &self.reader.index()
        return [index.visible(i) for i in range(index.num_visible())]

    def stored_ids(self):
        """Ids of all entries that have bytes, stored slices included, in file order."""
        return self.reader.StoredIds()

    def partitioned_ids(self):
        """Ids of all tensors that are stored as slices."""
        return self.reader.PartitionedIds()

    def file_order(self, vector[uint32_t] ids):
        """The same ids in the order of their bytes."""
        self.reader.SortByFileOrder(&ids)
        return ids

    def names(self):
        """Names of all tensors, sorted bytewise."""
        cdef size_t i
        cdef const Index* index = &self.reader.index()
        return [decode(self.reader.name(index.visible(i))) for i in range(index.num_visible())]

    def stored_size(self, vector[uint32_t] ids):
        """Stored bytes of these entries together."""
        cdef uint64_t total = 0
        for entry_id in ids:
            if not self.reader.entry(entry_id).sliced:
                total += self.reader.entry(entry_id).size
        return total

    def check_present(self, uint32_t entry_id):
        """Raise unless the entry is well-formed and its shard holds its bytes."""
        self.reader.SourceOf(entry_id)

    def name(self, uint32_t entry_id):
        """Name of the tensor that an entry belongs to."""
        return decode_bytes(self.reader.TensorName(entry_id))

    def key(self, uint32_t entry_id):
        """Stored key of an entry; for a slice it is binary."""
        return decode(self.reader.name(entry_id))

    def describe(self, uint32_t entry_id):
        """``(DataType number, shape, stored bytes, shard, offset, crc, is partitioned)``."""
        cdef const Entry* entry = &self.reader.CheckEntry(entry_id)
        shape = shape_tuple(self.reader.index().shape(deref(entry)))
        if entry.sliced:
            size = StoredSize(deref(self.reader), entry_id)
            return entry.dtype, shape, size, None, None, None, True
        shard = self.reader.shards()[entry.shard_slot].id
        return entry.dtype, shape, entry.size, shard, entry.offset, entry.crc, False

    @property
    def num_threads(self):
        """Threads for large reads."""
        return self.num_threads_

    @property
    def num_shards(self):
        return self.reader.index().header().num_shards

    @property
    def big_endian(self):
        return self.reader.index().header().big_endian

    @property
    def fingerprint(self):
        """``(size of the index, CRC over its checksums)``: equal for equal content."""
        return self.reader.index_source().size(), self.reader.fingerprint()

    @property
    def stored_bytes(self):
        return self.reader.stored_bytes()

    @property
    def bytes_read(self):
        """Bytes of tensors that were read or checked so far."""
        return self.reader.bytes_read()

    def files(self):
        """Paths of the index and of every shard that holds a tensor, present or not."""
        shards = &self.reader.shards()
        return [file_name(self.reader.index_source().path())] + [
            file_name(deref(shards)[i].path) for i in range(shards.size())
        ]

    def damage(self):
        """``(error, name before, last possible name)`` of each part that was left out."""
        cdef vector[DamagedRange] ranges = self.reader.Damage()
        cdef size_t i
        return [
            (ToPython(ranges[i].error), decode_bytes(ranges[i].after),
             decode_bytes(ranges[i].up_to))
            for i in range(ranges.size())
        ]

    # --- bytes ---------------------------------------------------------------------------------

    cdef object _dtype(self, int number):
        dtype = self.dtypes[number]
        if dtype is None:
            dtype = self.resolve(number)
            self.dtypes[number] = dtype
        return dtype

    def view(self, str name not None):
        """Read-only array over the stored bytes, or None when only a copy can represent them."""
        return self._view(self._find(name))

    def view_of(self, uint32_t entry_id):
        """As :meth:`view`, by entry id."""
        return self._view(entry_id)

    def views(self, ids):
        """As :meth:`view_of`, of each; checksums are compared in parallel where there is much."""
        if self.stored_size(ids) >= kInlineBytes:
            self.ensure_all_verified([x for x in ids if self.can_view(x)])
        return [self._view(entry_id) for entry_id in ids]

    def can_view(self, uint32_t entry_id):
        """Whether :meth:`view_of` gives an array; no checksum is compared to find out."""
        cdef const Entry* entry = &self.reader.CheckEntry(entry_id)
        if entry.sliced or not IsPlain(entry.dtype):
            return False
        return entry.size == 0 or (self._is_mapped(entry_id) and self._is_normal(entry_id))

    cdef object _view(self, uint32_t entry_id):
        cdef const Entry* entry = &self.reader.CheckEntry(entry_id)
        if entry.sliced or not IsPlain(entry.dtype):
            return None
        cdef bint is_mapped = self._is_mapped(entry_id)
        shape = shape_tuple(self.reader.index().shape(deref(entry)))
        dtype = self._dtype(entry.dtype)
        if entry.size == 0:
            self._ensure_verified(entry_id)
            return make_array(self, entry_id, shape, dtype, b"", 0)
        if not is_mapped:
            return None
        self._ensure_verified(entry_id)
        if not self._is_normal(entry_id):
            return None
        region = self.regions[entry.shard_slot]
        return make_array(self, entry_id, shape, dtype, region, entry.offset)

    cdef bint _is_mapped(self, uint32_t entry_id) except -1:
        """Whether the stored bytes stand in memory in native order; raises when absent."""
        cdef const Source* source = &self.reader.SourceOf(entry_id)
        if source.data() == NULL:
            return False
        swapped = self.reader.index().header().big_endian
        return not swapped or SwapUnit(self.reader.entry(entry_id).dtype) == 1

    cdef bint _is_normal(self, uint32_t entry_id) except -1:
        cdef int dtype = self.reader.entry(entry_id).dtype
        return not NeedsNormalising(dtype) or IsNormal(dtype, self.reader.Fetch(entry_id).bytes)

    def ensure_verified(self, uint32_t entry_id):
        """Compare the tensor's checksum unless that was done before or is switched off."""
        self._ensure_verified(entry_id)

    cdef int _ensure_verified(self, uint32_t entry_id) except -1:
        if not self.verify or self.reader.IsVerified(entry_id):
            return 0
        cdef uint64_t size = self.reader.entry(entry_id).size
        if size < RELEASE_BYTES:
            self.reader.VerifyOnce(entry_id)
        elif size < kInlineBytes:
            with nogil:
                self.reader.VerifyOnce(entry_id)
        else:
            self.check([entry_id]).wait()
        return 0

    cdef uint64_t _count(self, uint32_t entry_id) except? 0:
        """Number of elements."""
        cdef uint64_t count = 1
        cdef size_t d
        shape = self.reader.index().shape(self.reader.entry(entry_id))
        for d in range(shape.size()):
            count *= <uint64_t>shape[d]
        return count

    def parts(self, uint32_t entry_id):
        """``(starts, sizes, entry id)`` of each stored slice; an unpartitioned tensor is one.

        The id is None where the index lacks the slice's entry.
        """
        cdef vector[Part] parts = FindParts(deref(self.reader), entry_id)
        cdef size_t i
        return [
            (tuple(parts[i].box.starts), tuple(parts[i].box.sizes),
             parts[i].id if parts[i].id != MISSING else None)
            for i in range(parts.size())
        ]

    def ensure_all_verified(self, ids):
        """Compare, in parallel, the checksums that were not compared yet."""
        if self.verify:
            left = [entry_id for entry_id in ids if not self.reader.IsVerified(entry_id)]
            self.check(left).wait()

    def ensure_regions_verified(self, regions):
        """Compare, in parallel, what regions need: blocks where they have checksums of their own.

        A region is ``(entry id, starts, counts, steps)``.
        """
        if self.verify:
            self.ensure_all_verified(check_regions(self, regions))

    def read_region(self, uint32_t entry_id, starts, counts, steps, out):
        """Copy part of an entry into an ndarray of shape `counts`; returns the bytes read.

        No checksum is compared here.
        """
        cdef vector[StridedDim] dims = region_dims(starts, counts, steps)
        cdef uint64_t bytes_read
        cdef size_t d
        dtype = self._dtype(self.reader.entry(entry_id).dtype)
        if out.shape != tuple(counts) or out.dtype != dtype:
            raise ValueError("out has another shape or dtype than the region")
        for d in range(dims.size()):
            dims[d].stride_bytes = out.strides[d]
        address, is_read_only = out.__array_interface__["data"]
        if is_read_only:
            raise ValueError("out is read-only")
        cdef uint8_t* destination = <uint8_t*><size_t>address
        with nogil:
            bytes_read = ReadStrided(deref(self.reader), entry_id, dims, destination)
        return bytes_read

    def strings(self, uint32_t entry_id):
        """The elements of a string tensor as a list of bytes, in C order."""
        cdef StringLayout layout
        cdef uint64_t begin, end
        cdef size_t i
        self._ensure_verified(entry_id)
        cdef StoredBytes stored = self.reader.Fetch(entry_id)
        layout = ParseStrings(stored.bytes, self._count(entry_id), self.big_endian, False)
        if layout.error != StringError.kNone:
            self.reader.Verify(entry_id)
        begin = layout.start
        elements = []
        for i in range(layout.ends.size()):
            end = layout.ends[i]
            elements.append(PyBytes_FromStringAndSize(
                <const char*>stored.bytes.data() + begin, <Py_ssize_t>(end - begin)))
            begin = end
        return elements

    def variants(self, uint32_t entry_id):
        """``(type name, VariantTensorDataProto)`` of each element, as bytes, in C order."""
        self._ensure_verified(entry_id)
        cdef StoredBytes stored = self.reader.Fetch(entry_id)
        cdef VariantLayout layout = ParseVariants(stored.bytes, self._count(entry_id), False)
        cdef size_t i
        if layout.error != VariantError.kNone:
            self.reader.Verify(entry_id)
        return [
            (as_bytes(VariantTypeName(layout.records[i])), as_bytes(layout.records[i]))
            for i in range(layout.records.size())
        ]

    def stored(self, uint32_t entry_id):
        """The entry's bytes as they are stored, a copy."""
        self._ensure_verified(entry_id)
        cdef StoredBytes stored = self.reader.Fetch(entry_id)
        return as_bytes(stored.bytes)

    def load(self, ids, *, num_threads=None, in_background=False):
        """Start reading tensors into fresh arrays."""
        cdef LoadJob job = LoadJob.__new__(LoadJob)
        threads = self.num_threads_ if num_threads is None else num_threads
        job.start_load(self, ids, threads, in_background)
        return job

    def load_into(self, ids, buffers, *, num_threads=None):
        """Start reading tensors into writable buffers of exactly the stored size."""
        cdef LoadJob job = LoadJob.__new__(LoadJob)
        threads = self.num_threads_ if num_threads is None else num_threads
        job.start_into(self, ids, buffers, threads, self.verify, False)
        return job

    def check(self, ids, *, num_threads=None, keep_going=False):
        """Start comparing checksums, whether or not that was done before.

        With `keep_going` a report is all that is wanted: the bytes may go as they came.
        """
        cdef LoadJob job = LoadJob.__new__(LoadJob)
        threads = self.num_threads_ if num_threads is None else num_threads
        job.start_into(self, ids, None, threads, True, keep_going)
        return job

    def check_files(self):
        """Errors found in what no reader needs: metaindex, footer and tensor padding."""
        cdef vector[Error] findings
        cdef size_t i
        with nogil:
            findings = self.reader.CheckFiles()
        return [ToPython(findings[i]) for i in range(findings.size())]

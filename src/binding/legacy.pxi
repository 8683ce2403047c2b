# Reading V1 checkpoints; fastckpt/checkpoint/legacy.py makes of it what a bundle offers.

from cpp cimport Box, MutableBytes
from legacy_cpp cimport Layout, StringValues, V1Options, V1Reader, V1Record


cdef extern from *:
    """
    inline fastckpt::MutableBytes BytesOf(const Py_buffer& view) {
      return {static_cast<std::uint8_t*>(view.buf), static_cast<std::size_t>(view.len)};
    }
    """
    MutableBytes BytesOf(const Py_buffer&) nogil


cdef class LegacyReader:
    """The open files of a V1 checkpoint. Tensors are named by ids, their slices by position."""

    cdef shared_ptr[V1Reader] owner
    cdef V1Reader* reader

    def __cinit__(self, paths, *, bint skip_damage):
        cdef vector[string] files = paths
        cdef V1Options options
        options.skip_damage = skip_damage
        with nogil:
            self.owner = V1Reader.Open(files, options)
        self.reader = self.owner.get()

    def __len__(self):
        return self.reader.visible().size()

    def find(self, bytes name not None):
        """Id of a tensor; TensorNotFoundError when there is none."""
        return self.reader.Find(string_view(<const char*>name, <size_t>len(name)))

    def ids(self):
        """Ids of all tensors, in name order."""
        return self.reader.visible()

    def all_ids(self):
        """Ids of all tensors, those that are left out of listings included."""
        return list(range(self.reader.num_tensors()))

    def name(self, uint32_t tensor_id):
        """Name of a tensor."""
        return decode(self.reader.name(tensor_id))

    def names(self):
        """Names of all tensors, sorted bytewise."""
        return [decode(self.reader.name(i)) for i in self.ids()]

    def describe(self, uint32_t tensor_id):
        """``(DataType number, shape, number of slices, is one whole slice)``."""
        cdef shared_ptr[const Layout] layout = self.reader.Describe(tensor_id)
        cdef const Layout* found = layout.get()
        return found.dtype, tuple(found.shape), found.num_parts(), found.is_whole()

    def parts(self, uint32_t tensor_id):
        """``(starts, sizes)`` of each slice, after checking that none overlap."""
        cdef shared_ptr[const Layout] layout = self.reader.DescribeDisjoint(tensor_id)
        cdef Box box
        cdef size_t i
        parts = []
        for i in range(layout.get().num_parts()):
            box = layout.get().box(i)
            parts.append((tuple(box.starts), tuple(box.sizes)))
        return parts

    def part_file(self, uint32_t tensor_id, size_t part):
        """Position in :meth:`files` of the file that holds a slice."""
        cdef shared_ptr[const Layout] layout = self.reader.Describe(tensor_id)
        return layout.get().files.at(part)

    def part_shape(self, uint32_t tensor_id, size_t part):
        """Shape of a slice."""
        cdef shared_ptr[const Layout] layout = self.reader.Describe(tensor_id)
        cdef Box box = layout.get().box(part)
        return tuple(box.sizes)

    def part_size(self, uint32_t tensor_id, size_t part):
        """Bytes of a slice's elements; those of strings are looked up."""
        return self.reader.PartSize(tensor_id, part)

    def check_part(self, uint32_t tensor_id, size_t part):
        """Read a slice's record and check it; the block stays in memory until the next one."""
        with nogil:
            self.reader.Fetch(tensor_id, part)

    def read_part(self, uint32_t tensor_id, size_t part, buffer):
        """Copy the elements of a slice to a writable buffer of exactly their size."""
        cdef Py_buffer view
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            with nogil:
                self.reader.ReadPart(tensor_id, part, BytesOf(view))
        finally:
            PyBuffer_Release(&view)

    def strings_part(self, uint32_t tensor_id, size_t part):
        """The elements of a slice of a string tensor as a list of bytes, in C order."""
        cdef V1Record record = self.reader.Fetch(tensor_id, part)
        cdef StringValues* strings = new StringValues(record.value)
        cdef ByteView element
        elements = []
        try:
            while strings.Next(&element):
                elements.append(as_bytes(element))
        finally:
            del strings
        return elements

    @property
    def bytes_read(self):
        """Bytes of the blocks that were read for values so far."""
        return self.reader.bytes_read()

    def release(self):
        """Let go of the block that was read last, if it is a large one."""
        self.reader.Release()

    def files(self):
        """Paths of the files."""
        cdef size_t i
        return [file_name(self.reader.paths()[i]) for i in range(self.reader.paths().size())]

    @property
    def fingerprint(self):
        """``(bytes of all files, CRC over their checksums)``: equal for equal content."""
        return self.reader.file_bytes(), self.reader.fingerprint()

    def damage(self):
        """``(error, name before, last possible name)`` of each part that was left out."""
        cdef const vector[DamagedRange]* ranges = &self.reader.damage()
        cdef size_t i
        return [
            (ToPython(deref(ranges)[i].error), decode_bytes(deref(ranges)[i].after),
             decode_bytes(deref(ranges)[i].up_to))
            for i in range(ranges.size())
        ]

    def check_files(self):
        """Errors found in what no reader needs, and tensors that are not covered."""
        cdef vector[Error] findings
        cdef size_t i
        with nogil:
            findings = self.reader.CheckFiles()
        return [ToPython(findings[i]) for i in range(findings.size())]

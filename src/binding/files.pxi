# Single files that become visible at one stroke.

from writer_cpp cimport CommitOptions, FileReplacement, MakeReplacement, ReplaceFile, Sink


def replace_file(bytes path, bytes content, *, bint sync):
    """Give the file at `path` this content; readers see the old one or the new one, whole."""
    cdef string file_path = path
    cdef CommitOptions options
    cdef ByteView view = MakeByteView(<const uint8_t*><const char*>content, <size_t>len(content))
    options.sync = sync
    with nogil:
        ReplaceFile(file_path, view, options)


cdef class NewFile:
    """A file that is written piece by piece and replaces what is at `path` on commit."""

    cdef unique_ptr[FileReplacement] replacement
    cdef Sink* sink

    def __cinit__(self, bytes path, *, bint sync):
        cdef string file_path = path
        cdef CommitOptions options
        options.sync = sync
        with nogil:
            self.replacement = MakeReplacement(file_path, options)
            self.sink = &self.replacement.get().Create(file_path)

    def __dealloc__(self):
        with nogil:
            self.replacement.reset()

    def write_at(self, uint64_t offset, data):
        """Write contiguous bytes at an offset; returns how many."""
        cdef Py_buffer buffer
        cdef ByteView view
        PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE)
        try:
            view = MakeByteView(<const uint8_t*>buffer.buf, <size_t>buffer.len)
            with nogil:
                self.sink.WriteAt(offset, view)
            return buffer.len
        finally:
            PyBuffer_Release(&buffer)

    def commit(self):
        """Make the file visible, and durable where that was asked for; nothing can follow."""
        with nogil:
            self.replacement.get().Commit()

    def abort(self):
        """Remove what was written; what stood there stays. Idempotent; nothing after commit."""
        with nogil:
            self.replacement.get().Abort()

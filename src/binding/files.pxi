# Single files that become visible at one stroke.

from writer_cpp cimport CommitOptions, ReplaceFile


def replace_file(bytes path, bytes content, *, bint sync):
    """Give the file at `path` this content; readers see the old one or the new one, whole."""
    cdef string file_path = path
    cdef CommitOptions options
    cdef ByteView view = MakeByteView(<const uint8_t*><const char*>content, <size_t>len(content))
    options.sync = sync
    with nogil:
        ReplaceFile(file_path, view, options)

# Files whose changes are traced, for the crash tests.

# In the order of io::Change.
cdef tuple CHANGES = (
    "create", "write", "truncate", "sync_file", "sync_directory", "rename", "link", "unlink",
    "make_directory", "remove_directory",
)


cdef class TracedFiles:
    """The files of the system, and a trace of what a writer changes.

    The process is killed right before, or right after, the change of that number, from 1 on.
    """

    cdef shared_ptr[RecordingFileSystem] files

    def __cinit__(self, *, size_t kill_before=0, size_t kill_after=0):
        self.files = make_shared[RecordingFileSystem]()
        deref(self.files).KillBefore(kill_before)
        deref(self.files).KillAfter(kill_after)

    def records(self):
        """List ``(change, path, new_path, file, offset, bytes, result)`` of all changes."""
        cdef vector[ChangeRecord] trace = deref(self.files).trace()
        cdef size_t i
        found = []
        for i in range(trace.size()):
            found.append((CHANGES[<int>trace[i].change], file_name(trace[i].path),
                          file_name(trace[i].new_path), trace[i].file, trace[i].offset,
                          as_bytes(MakeByteView(trace[i].bytes.data(), trace[i].bytes.size())),
                          trace[i].result))
        return found

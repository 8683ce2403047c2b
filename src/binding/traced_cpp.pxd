# Traces of file calls as the binding sees them. Contracts are in src/io/.
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libcpp.string cimport string
from libcpp.vector cimport vector


cdef extern from "io/file_system.h" namespace "fastckpt::io" nogil:
    cdef cppclass FileSystem:
        pass


cdef extern from "io/recording_file_system.h" namespace "fastckpt::io" nogil:
    cdef cppclass Change:
        pass

    cdef cppclass ChangeRecord:
        Change change
        string path
        string new_path
        uint64_t file
        uint64_t offset
        vector[uint8_t] bytes
        int64_t result

    cdef cppclass RecordingFileSystem(FileSystem):
        RecordingFileSystem()
        void KillBefore(size_t)
        void KillAfter(size_t)
        size_t calls()
        vector[ChangeRecord] trace()

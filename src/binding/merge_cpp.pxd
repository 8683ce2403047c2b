# Merging tensor bundles as the binding sees it. Contracts are in src/bundle/ and src/commit/.
from libc.stdint cimport uint64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.vector cimport vector

from writer_cpp cimport Job, Translate


cdef extern from "io/file_system.h" namespace "fastckpt::io" nogil:
    cdef cppclass FileStatus:
        pass


cdef extern from "commit/discard.h" namespace "fastckpt::commit" nogil:
    void Discard(const string&, const FileStatus*) except +Translate


cdef extern from "bundle/merge.h" namespace "fastckpt::bundle" nogil:
    cdef cppclass MergeOptions:
        MergeOptions()
        cbool consume
        cbool sync
        cbool complete_slices
        int num_threads

    cdef cppclass Merger:
        @staticmethod
        unique_ptr[Merger] Create(vector[string], const string&,
                                  const MergeOptions&) except +Translate
        Job& Start() except +Translate
        void Commit() except +Translate
        void Abort()
        size_t num_entries()
        uint64_t bytes_total()
        uint64_t bytes_done()

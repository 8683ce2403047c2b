# V1 checkpoints as the binding sees it. Contracts are in src/legacy/.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.string cimport string
from libcpp.vector cimport vector
from libcpp cimport bool as cbool

from cpp cimport Box, ByteView, DamagedRange, Error, MutableBytes, milliseconds, string_view
from writer_cpp cimport TensorInputs


cdef extern from "translate.h" namespace "fastckpt::binding" nogil:
    void Translate()


cdef extern from "legacy/values.h" namespace "fastckpt::legacy" nogil:
    cbool IsStorable(int32_t)

    cdef cppclass StringValues:
        StringValues(ByteView)
        cbool Next(ByteView*)


cdef extern from "legacy/meta.h" namespace "fastckpt::legacy" nogil:
    cdef cppclass Layout:
        int32_t dtype
        vector[int64_t] shape
        vector[uint32_t] files
        size_t num_parts()
        Box box(size_t)
        cbool is_whole()


cdef extern from "legacy/reader.h" namespace "fastckpt::legacy" nogil:
    cdef cppclass V1Options "fastckpt::legacy::ReaderOptions":
        cbool skip_damage

    cdef cppclass V1Record "fastckpt::legacy::Record":
        ByteView value
        uint64_t count

    cdef cppclass V1Reader "fastckpt::legacy::Reader":
        @staticmethod
        shared_ptr[V1Reader] Open(const vector[string]&, const V1Options&) except +Translate
        size_t num_tensors()
        string_view name(uint32_t)
        const vector[uint32_t]& visible()
        uint32_t Find(string_view) except +Translate
        shared_ptr[const Layout] Describe(uint32_t) except +Translate
        shared_ptr[const Layout] DescribeDisjoint(uint32_t) except +Translate
        V1Record Fetch(uint32_t, size_t) except +Translate
        void ReadPart(uint32_t, size_t, MutableBytes) except +Translate
        uint64_t PartSize(uint32_t, size_t) except +Translate
        uint64_t bytes_read()
        void Release()
        const vector[string]& paths()
        uint64_t file_bytes()
        uint32_t fingerprint()
        const vector[DamagedRange]& damage()
        vector[Error] CheckFiles() except +Translate


cdef extern from "legacy/writer.h" namespace "fastckpt::legacy" nogil:
    cdef cppclass V1WriterOptions "fastckpt::legacy::WriterOptions":
        V1WriterOptions()
        int32_t num_shards
        cbool sync
        int num_threads

    cdef cppclass V1Writer "fastckpt::legacy::Writer":
        cbool WaitFor(milliseconds) except +Translate
        void Commit() except +Translate
        uint64_t bytes_done()
        size_t inputs_done()
        size_t current_input()

    unique_ptr[V1Writer] MakeV1Writer "std::make_unique<fastckpt::legacy::Writer>"(
        const string&, TensorInputs, const V1WriterOptions&) except +Translate

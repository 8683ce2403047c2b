# The writer of tensor bundles as the binding sees it. Contracts are in src/bundle/.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.string cimport string
from libcpp.vector cimport vector

from cpp cimport Arena, ByteView, milliseconds, MutableBytes, string_view
from traced_cpp cimport FileSystem


cdef extern from "translate.h" namespace "fastckpt::binding" nogil:
    void Translate()


cdef extern from "base/bytes.h" namespace "fastckpt" nogil:
    ByteView MakeByteView "fastckpt::ByteView"(const uint8_t*, size_t)
    MutableBytes MakeMutableBytes "fastckpt::MutableBytes"(uint8_t*, size_t)


cdef extern from "base/thread_pool.h" namespace "fastckpt" nogil:
    cdef cppclass Job:
        cbool WaitFor(milliseconds) except +Translate


cdef extern from "coding/ordered.h" namespace "fastckpt::coding" nogil:
    cdef cppclass Extent:
        int64_t start
        int64_t length

    cbool IsSliceKey(string_view)


cdef extern from "io/arena.h" namespace "fastckpt::io" nogil:
    shared_ptr[Arena] AllocateArena "fastckpt::io::Arena::Allocate"(size_t) except +Translate


cdef extern from "tensor/gather.h" namespace "fastckpt::tensor" nogil:
    cdef cppclass StridedArray:
        const uint8_t* data
        uint32_t item_size
        vector[int64_t] shape
        vector[int64_t] strides


cdef extern from "tensor/snapshot.h" namespace "fastckpt::tensor" nogil:
    cdef cppclass CopyTask:
        StridedArray source
        MutableBytes destination

    cdef cppclass CopyJob:
        CopyJob(vector[CopyTask], int) except +Translate
        cbool WaitFor(milliseconds) except +Translate


cdef extern from "bundle/stored_items.h" namespace "fastckpt::bundle" nogil:
    cdef cppclass StoredItem:
        pass

    cdef cppclass StoredItems:
        size_t size()
        const StoredItem& operator[](size_t)
        string_view key(const StoredItem&)


cdef extern from "bundle/write_job.h" namespace "fastckpt::bundle" nogil:
    cdef cppclass WriteJob:
        cbool WaitFor(milliseconds) except +Translate
        uint64_t bytes_done()
        uint32_t current_item()


cdef extern from "tensor/input_list.h" namespace "fastckpt::tensor" nogil:
    cdef cppclass Input:
        string_view name

    cdef cppclass TensorInputs "std::span<const fastckpt::tensor::Input>":
        TensorInputs()
        size_t size()
        const Input& operator[](size_t)

    cdef cppclass InputList:
        InputList()
        void AddPlain(string_view, int32_t, size_t, const int64_t*, const int64_t*, const void*,
                      cbool) except +Translate
        void AddElements(string_view, int32_t, size_t, const int64_t*,
                         vector[ByteView]) except +Translate
        void MakeSlice(vector[Extent], vector[int64_t]) except +Translate
        void SetFrozen()
        void SetShard(int32_t)
        void Reserve(size_t) except +Translate
        void Clear()
        size_t size()
        TensorInputs inputs()


cdef extern from "bundle/writer.h" namespace "fastckpt::bundle" nogil:
    cdef cppclass WriterOptions:
        WriterOptions()
        int32_t num_shards
        uint64_t alignment
        cbool block_crcs
        cbool sync
        cbool complete_slices
        cbool direct
        int num_threads

    cdef cppclass Writer:
        @staticmethod
        unique_ptr[Writer] Create(const string&, const WriterOptions&) except +Translate

        @staticmethod
        unique_ptr[Writer] Create(const string&, const WriterOptions&,
                                  FileSystem&) except +Translate
        void Expect(size_t) except +Translate
        WriteJob& Add(TensorInputs) except +Translate
        void AddCompanion(const string&, ByteView) except +Translate
        Job& Finish() except +Translate
        void Commit() except +Translate
        void Cancel()
        void Abort()
        const StoredItems& items()
        size_t num_tensors()
        uint64_t stored_bytes()


cdef extern from "commit/transaction.h" namespace "fastckpt::commit" nogil:
    cdef cppclass CommitOptions "fastckpt::commit::Options":
        CommitOptions()
        cbool sync


cdef extern from "io/sink.h" namespace "fastckpt::io" nogil:
    cdef cppclass Sink:
        void WriteAt(uint64_t, ByteView) except +Translate


cdef extern from "commit/replace_file.h" namespace "fastckpt::commit" nogil:
    cdef cppclass FileReplacement:
        Sink& Create(const string&) except +Translate
        void Commit() except +Translate
        void Abort()

    unique_ptr[FileReplacement] MakeReplacement \
        "std::make_unique<fastckpt::commit::FileReplacement>"(
            const string&, const CommitOptions&) except +Translate
    void ReplaceFile(const string&, ByteView, const CommitOptions&) except +Translate

# The C++ core as the binding sees it. Contracts are in the headers under src/.
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport shared_ptr
from libcpp.string cimport string
from libcpp.vector cimport vector


cdef extern from "translate.h" namespace "fastckpt::binding" nogil:
    void Translate()
    object ToPython(const Error& error)


cdef extern from "<string_view>" namespace "std" nogil:
    cdef cppclass string_view:
        string_view()
        string_view(const char*, size_t)
        const char* data()
        size_t size()


cdef extern from "<chrono>" namespace "std::chrono" nogil:
    cdef cppclass milliseconds:
        milliseconds(int64_t)


cdef extern from "base/error.h" namespace "fastckpt" nogil:
    cdef cppclass Error:
        Error(const Error&)


cdef extern from "base/bytes.h" namespace "fastckpt" nogil:
    cdef cppclass ByteView:
        const uint8_t* data()
        size_t size()

    cdef cppclass MutableBytes:
        uint8_t* data()
        size_t size()


cdef extern from "base/thread_pool.h" namespace "fastckpt" nogil:
    void ResetThreadPoolAfterFork()


cdef extern from "crc/crc32c.h" namespace "fastckpt::crc" nogil:
    cdef cppclass Kernel:
        const char* name
        cbool (*supported)()

    cdef cppclass KernelSpan "std::span<const fastckpt::crc::Kernel* const>":
        const Kernel* operator[](size_t)
        size_t size()

    KernelSpan Kernels()
    const Kernel& ActiveKernel()
    uint32_t Extend(uint32_t, const void*, size_t)
    uint32_t CombineCrcs "fastckpt::crc::Combine"(uint32_t, uint32_t, uint64_t)


cdef extern from "io/arena.h" namespace "fastckpt::io" nogil:
    cdef cppclass Arena:
        MutableBytes bytes()


cdef extern from "io/source.h" namespace "fastckpt::io" nogil:
    cdef enum class Backend(uint8_t):
        kAuto
        kMapped
        kPositional
        kDirect

    cdef cppclass Source:
        const string& path()
        uint64_t size()
        const uint8_t* data()


cdef extern from "tensor/dtype.h" namespace "fastckpt::tensor" nogil:
    cbool IsPlain(int32_t)
    cbool NeedsNormalising(int32_t)
    cbool IsNormal(int32_t, ByteView)
    uint32_t SwapUnit(int32_t)


cdef extern from "tensor/shape.h" namespace "fastckpt::tensor" nogil:
    cdef cppclass ShapeView:
        const int64_t& operator[](size_t)
        size_t size()


cdef extern from "tensor/strings.h" namespace "fastckpt::tensor" nogil:
    cdef enum class StringError(uint8_t):
        kNone

    cdef cppclass StringLayout:
        StringError error
        uint64_t start
        vector[uint64_t] ends

    StringLayout ParseStrings(ByteView, uint64_t, cbool, cbool) except +Translate


cdef extern from "tensor/variants.h" namespace "fastckpt::tensor" nogil:
    cdef enum class VariantError(uint8_t):
        kNone

    cdef cppclass VariantLayout:
        VariantError error
        vector[ByteView] records

    VariantLayout ParseVariants(ByteView, uint64_t, cbool) except +Translate
    ByteView VariantTypeName(ByteView)


cdef extern from "table/table_reader.h" namespace "fastckpt::table" nogil:
    cdef cppclass DamagedRange:
        Error error
        string after
        string up_to


cdef extern from "bundle/entry.h" namespace "fastckpt::bundle" nogil:
    cdef cppclass Header:
        int32_t num_shards
        cbool big_endian


cdef extern from "bundle/index.h" namespace "fastckpt::bundle" nogil:
    cdef enum class EntryStatus(uint8_t):
        kOk

    cdef cppclass Entry:
        EntryStatus status
        uint64_t offset
        uint64_t size
        uint32_t crc
        uint32_t shard_slot
        int8_t dtype
        uint8_t rank
        cbool sliced

    cdef cppclass Index:
        const Header& header()
        size_t num_visible()
        uint32_t visible(size_t)
        ShapeView shape(const Entry&)


cdef extern from "bundle/reader.h" namespace "fastckpt::bundle" nogil:
    cdef cppclass ReaderOptions:
        Backend backend
        cbool skip_damage

    cdef cppclass Shard:
        int32_t id
        string path
        shared_ptr[const Source] source

    cdef cppclass StoredBytes:
        ByteView bytes

    cdef cppclass Reader:
        @staticmethod
        shared_ptr[Reader] Open(const string&, const ReaderOptions&) except +Translate
        const Index& index()
        const Entry& entry(uint32_t)
        string_view name(uint32_t)
        string TensorName(uint32_t)
        const vector[Shard]& shards()
        const Source& index_source()
        uint32_t fingerprint()
        vector[DamagedRange] Damage()
        uint32_t Find(string_view) except +Translate
        const Entry& CheckEntry(uint32_t) except +Translate
        const Source& SourceOf(uint32_t) except +Translate
        StoredBytes Fetch(uint32_t) except +Translate
        cbool IsVerified(uint32_t)
        void Verify(uint32_t) except +Translate
        void VerifyOnce(uint32_t) except +Translate
        void SortByFileOrder(vector[uint32_t]*)
        vector[uint32_t] PartitionedIds()
        vector[uint32_t] StoredIds()
        uint64_t stored_bytes()
        uint64_t bytes_read()
        vector[Error] CheckFiles() except +Translate


cdef extern from "tensor/slice.h" namespace "fastckpt::tensor" nogil:
    cdef cppclass Box:
        vector[int64_t] starts
        vector[int64_t] sizes


cdef extern from "bundle/parts.h" namespace "fastckpt::bundle" nogil:
    cdef cppclass Part:
        Box box
        uint32_t id

    vector[Part] FindParts(const Reader&, uint32_t) except +Translate
    uint64_t StoredSize(const Reader&, uint32_t) except +Translate


cdef extern from "bundle/strided.h" namespace "fastckpt::bundle" nogil:
    cdef cppclass StridedDim:
        int64_t start
        int64_t count
        int64_t step
        int64_t stride_bytes

    uint64_t ReadStrided(
        const Reader&, uint32_t, const vector[StridedDim]&, uint8_t*
    ) except +Translate


cdef extern from "bundle/region_check.h" namespace "fastckpt::bundle" nogil:
    cdef cppclass RegionCheck:
        RegionCheck(shared_ptr[const Reader])
        cbool Add(uint32_t, const vector[StridedDim]&) except +Translate
        void Start(int) except +Translate
        cbool WaitFor(milliseconds) except +Translate


cdef extern from "bundle/transfer.h" namespace "fastckpt::bundle" nogil:
    const uint64_t kInlineBytes

    cdef cppclass Transfer:
        uint32_t id
        uint8_t* destination

    cdef cppclass TransferFailure:
        uint32_t id
        Error error

    cdef cppclass TransferOptions:
        cbool verify
        cbool keep_going
        cbool keep_cached
        int num_threads
        cbool in_background

    cdef cppclass TransferJob:
        TransferJob(
            shared_ptr[const Reader], vector[Transfer], const TransferOptions&
        ) except +Translate
        cbool WaitFor(milliseconds) except +Translate
        void Cancel()
        uint64_t bytes_done()
        uint64_t bytes_read()
        uint64_t tensors_done()
        uint32_t current_id()
        vector[TransferFailure] TakeFailures()


cdef extern from "bundle/load_plan.h" namespace "fastckpt::bundle" nogil:
    cdef cppclass Placement:
        uint32_t arena
        uint64_t offset

    cdef cppclass LoadPlan:
        LoadPlan(const Reader&, const vector[uint32_t]&) except +Translate
        vector[shared_ptr[Arena]] arenas
        vector[Placement] placements
        vector[Transfer] transfers

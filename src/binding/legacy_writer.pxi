# Writing V1 checkpoints.

from legacy_cpp cimport IsStorable, MakeV1Writer, V1Writer, V1WriterOptions
from writer_cpp cimport TensorInputs


def is_legacy_dtype(int number):
    """Whether V1 files can hold tensors of this DataType."""
    return IsStorable(number)


def write_legacy(path, items, *, int num_shards, bint sync, int num_threads, report):
    """Write a V1 checkpoint of ``(name, Input, extents, full shape, shard)`` rows.

    `extents` is None for whole tensors; `report(bytes, tensors, name)` may cancel.
    """
    cdef string file_path = path
    cdef V1WriterOptions options
    cdef TensorBatch batch = TensorBatch.__new__(TensorBatch)
    cdef TensorInputs inputs
    cdef unique_ptr[V1Writer] writer
    options.num_shards = num_shards
    options.sync = sync
    options.num_threads = num_threads
    for name, item, extents, full_shape, shard in items:
        batch.add_input(name, item)
        batch.list.SetShard(shard)
        if extents is not None:
            _make_slice(batch, extents, full_shape)
    with nogil:
        inputs = batch.list.inputs()
        writer = MakeV1Writer(file_path, inputs, options)
    try:
        _finish_legacy(writer.get(), inputs, report)
    finally:
        # It must let go of the arrays before the batch does.
        with nogil:
            writer.reset()


cdef int _make_slice(TensorBatch batch, extents, full_shape) except -1:
    cdef vector[Extent] places
    cdef Extent place
    for place.start, place.length in extents:
        places.push_back(place)
    batch.list.MakeSlice(places, full_shape)
    return 0


cdef int _finish_legacy(V1Writer* writer, TensorInputs inputs, report) except -1:
    cdef bint done = False
    while not done:
        with nogil:
            done = writer.WaitFor(milliseconds(50))
        PyErr_CheckSignals()
        if report is not None and inputs.size() > 0:
            report(writer.bytes_done(), writer.inputs_done(),
                   decode(inputs[writer.current_input()].name))
    with nogil:
        writer.Commit()
    return 0

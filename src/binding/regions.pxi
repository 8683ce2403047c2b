# Regions of entries, as Python names them.

cdef vector[StridedDim] region_dims(starts, counts, steps) except *:
    """A region in the core's form, without strides."""
    cdef vector[StridedDim] dims
    cdef StridedDim dim
    for start, count, step in zip(starts, counts, steps, strict=True):
        dim.start, dim.count, dim.step, dim.stride_bytes = start, count, step, 0
        dims.push_back(dim)
    return dims


cdef list check_regions(BundleReader bundle, regions):
    """Compare the CRCs of the blocks that regions touch; ids of what has to be verified whole."""
    cdef RegionCheck* check = new RegionCheck(<shared_ptr[const Reader]>bundle.owner)
    cdef bint done = False
    try:
        whole = [
            entry_id for entry_id, starts, counts, steps in regions
            if not check.Add(entry_id, region_dims(starts, counts, steps))
        ]
        with nogil:
            check.Start(bundle.num_threads_)
        while not done:
            with nogil:
                done = check.WaitFor(milliseconds(50))
            PyErr_CheckSignals()
    finally:
        with nogil:
            del check
    return whole

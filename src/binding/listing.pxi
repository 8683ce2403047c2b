# What an index says of all tensors, in one pass: handles cost five times as much.


def names_and_shapes(BundleReader bundle, *, bint as_lists=False):
    """``(name, shape)`` of all tensors of a bundle, sorted bytewise; shapes as lists on demand."""
    cdef size_t i
    cdef uint32_t entry_id
    cdef ShapeView view
    cdef const Index* index = &bundle.reader.index()
    # The collector would walk the growing list again and again, and find nothing.
    enabled = PyGC_Disable()
    try:
        result = []
        for i in range(index.num_visible()):
            entry_id = index.visible(i)
            view = index.shape(bundle.reader.CheckEntry(entry_id))
            shape = shape_list(view) if as_lists else shape_tuple(view)
            result.append((decode(bundle.reader.name(entry_id)), shape))
        return result
    finally:
        if enabled:
            PyGC_Enable()


def describe_all(BundleReader bundle):
    """Name and description of every tensor of a bundle, in name order; None for malformed ones."""
    cdef size_t i
    cdef uint32_t entry_id
    cdef const Index* index = &bundle.reader.index()
    enabled = PyGC_Disable()
    try:
        rows = []
        for i in range(index.num_visible()):
            entry_id = index.visible(i)
            description = None
            if bundle.reader.entry(entry_id).status == EntryStatus.kOk:
                description = bundle.describe(entry_id)
            rows.append((decode(bundle.reader.name(entry_id)), description))
        return rows
    finally:
        if enabled:
            PyGC_Enable()

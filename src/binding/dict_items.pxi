# Arrays of a dict, read without the help of Python: with 10^5 small ones that help is most of the
# work, and most of what is left is waiting for the memory of objects that lie anywhere.

# Items whose memory is asked for together.
cdef enum:
    LOOK_AHEAD = 32


cdef bint knows_ndarrays() except -1:
    """Whether NumPy's arrays are what ``NdarrayFields`` says, and the GIL guards dicts."""
    cdef const NdarrayFields* fields
    if is_free_threaded:
        return False
    for array in (ndarray((5, 4, 3), "<f8")[::2, 1:, ::-1], ndarray((2, 3), "<i2"), ndarray(())):
        fields = FieldsOf(<PyObject*>array)
        if (
            <size_t>fields.data != <size_t>array.__array_interface__["data"][0]
            or fields.rank != array.ndim
            or [fields.shape[d] for d in range(fields.rank)] != list(array.shape)
            or [fields.strides[d] for d in range(fields.rank)] != list(array.strides)
            or fields.dtype != <PyObject*>array.dtype
            or fields.flags != array.flags.num
        ):
            return False
    return True


cdef bint KNOWS_NDARRAYS = knows_ndarrays()


cdef inline bint is_plain_array(PyObject* value):
    return IsExactly(value, <PyObject*>ndarray)


cdef int64_t count_elements(const NdarrayFields* fields):
    cdef int64_t count = 1
    cdef int d
    for d in range(fields.rank):
        count *= fields.shape[d]
    return count


def total_nbytes(tensors, int64_t limit):
    """Bytes of the array-likes in a mapping together, as far as they say.

    Counting stops at `limit`.
    """
    if type(tensors) is dict and KNOWS_NDARRAYS:
        return total_of_dict(tensors, limit)
    return total_of_values(tensors.values(), limit)


cdef int64_t nbytes_of(value) except -1:
    if type(value) is tuple and len(value) == 2:
        value = value[0]
    try:
        nbytes = getattr(value, "nbytes", 0)
    except Exception:
        # For the choice of shards alone; what is wrong with the value is said later.
        return 0
    return nbytes if isinstance(nbytes, int) else 0


cdef int64_t total_of_values(values, int64_t limit) except -1:
    cdef int64_t total = 0
    for value in values:
        total += nbytes_of(value)
        if total >= limit:
            break
    return total


cdef int64_t total_of_dict(dict tensors, int64_t limit) except -1:
    cdef PyObject* names[LOOK_AHEAD]
    cdef PyObject* values[LOOK_AHEAD]
    cdef Py_ssize_t position = 0
    cdef int64_t total = 0
    cdef int64_t item_size = 0
    cdef const NdarrayFields* fields
    cdef size_t i, count
    last_dtype = None
    while total < limit:
        count = NextItems(<PyObject*>tensors, &position, LOOK_AHEAD, names, values)
        if count == 0:
            break
        for i in range(count):
            if not is_plain_array(values[i]):
                # What runs there may change the dict.
                return total_of_values(tensors.values(), limit)
            Prefetch(FieldsOf(values[i]).shape)
        for i in range(count):
            fields = FieldsOf(values[i])
            if fields.dtype != <PyObject*>last_dtype:
                last_dtype = <object>fields.dtype
                item_size = last_dtype.itemsize
            total += count_elements(fields) * item_size
    return total

# Tensors that are handed over to the writer together.

# Smaller tensors hold no whole chunk, and are not worth a look at where their memory is from.
cdef Py_ssize_t FROZEN_BYTES = 1 << 20


def has_no_writer(array):
    """Whether nobody changes the memory of an array, as far as NumPy's flags can tell.

    It is read-only, and so is all that it is a view of, down to memory of its own, ``bytes`` or
    the map of a checkpoint. A writable view that was made before the flag was set goes unseen:
    what such a view changes may be stored torn, but never with a wrong checksum.
    """
    while isinstance(array, ndarray):
        if array.flags.writeable:
            return False
        if array.base is None:
            return True
        array = array.base
    if isinstance(array, memoryview):
        array = array.obj if array.readonly else None
    return isinstance(array, (bytes, Region))


cdef bint is_snapshot(array):
    """Whether an array is a copy of ``save_async``, which the writer alone can reach."""
    base = array.base
    return isinstance(base, Memory) and (<Memory>base).is_private


cdef class TensorBatch:
    """Tensors on their way to the writer; it holds their memory until it is gone."""

    cdef InputList list
    cdef vector[Py_buffer] views
    cdef vector[PyObject*] objects
    cdef list held

    def __cinit__(self, size_t expected=1):
        self.held = []
        self.list.Reserve(expected)

    def __dealloc__(self):
        self._release()

    cdef void _release(self):
        cdef size_t i
        for i in range(self.views.size()):
            PyBuffer_Release(&self.views[i])
        for i in range(self.objects.size()):
            DecRef(self.objects[i])

    cdef int clear(self) except -1:
        """Let everything go, and keep the room for other tensors."""
        self._release()
        self.views.clear()
        self.objects.clear()
        self.held.clear()
        self.list.Clear()
        return 0

    cdef int hold(self, size_t count, PyObject** objects) except -1:
        """Make borrowed references its own."""
        cdef size_t i
        for i in range(count):
            self.objects.push_back(objects[i])
            IncRef(objects[i])
        return 0

    cdef string_view _name(self, name) except *:
        """Bytes of a name, which stay as long as the batch."""
        cdef Py_ssize_t size
        cdef const char* text
        if type(name) is str:
            self.held.append(name)
            text = PyUnicode_AsUTF8AndSize(name, &size)
            return string_view(text, <size_t>size)
        self.held.append(name)
        return string_view(<const char*>name, <size_t>len(<bytes>name))

    cdef int add_array(self, string_view name, int number, array, bint swapped) except -1:
        cdef Py_buffer view
        PyObject_GetBuffer(array, &view, PyBUF_STRIDES)
        self.views.push_back(view)
        self.list.AddPlain(name, number, <size_t>view.ndim, <const int64_t*>view.shape,
                           <const int64_t*>view.strides, view.buf, swapped)
        if view.len >= FROZEN_BYTES and is_snapshot(array):
            self.list.SetFrozen()
        return 0

    cdef int add_elements(self, string_view name, int number, shape, elements) except -1:
        cdef vector[int64_t] dims = shape
        cdef vector[ByteView] views
        cdef bytes element
        views.reserve(len(elements))
        for element in elements:
            views.push_back(MakeByteView(<const uint8_t*><const char*>element, len(element)))
        self.held.append(elements)
        self.list.AddElements(name, number, dims.size(), dims.data(), views)
        return 0

    cdef int add_input(self, bytes name, item) except -1:
        """One ``Input`` of checkpoint/inputs.py."""
        key = self._name(name)
        number, shape, array, elements, records = item
        if array is None:
            return self.add_elements(key, number, shape, records if elements is None else elements)
        swapped = not array.dtype.isnative
        # Shape and memory alone matter; some dtypes export no buffer.
        return self.add_array(key, number, array, swapped)

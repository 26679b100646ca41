// Comes before Jittor 1.3.11's header of the same name, takes that in, and replaces the three things in it that are so
// in NumPy 1 alone. What stands here is right for NumPy 1 and 2: it is asked which one it is when it runs.
#pragma once
#include <Python.h>

#define PyArray_Size PyArray_Size_of_numpy_1
#include_next "pyjt/numpy.h"
#undef PyArray_Size

namespace jittor {

// Bytes in an array. Jittor reads the size of an element from PyArray_Descr, where NumPy 2 has other fields; the number
// of its type is where it was, and says the same.
inline int64 PyArray_Size(PyArray_Proxy* array) {
    int64 bytes = get_type_str(array).dsize();
    for (int axis = 0; axis < array->nd; axis++) bytes *= array->dimensions[axis];
    return bytes;
}

// In NumPy's table of functions this one has moved. 0x12 is the first version of the table that is NumPy 2's.
inline int ecgan_copy_into(PyObject* to, PyObject* from) {
    const int place = PyArray_GetNDArrayCFeatureVersion() < 0x12 ? 82 : 50;
    return reinterpret_cast<int (*)(PyObject*, PyObject*)>(PyArray_API[place])(to, from);
}

// A scalar of NumPy's as a value of C. Jittor describes the value's type by a PyArray_Descr of its own in which only the
// type's number is set: enough for NumPy 1, while NumPy 2 wants one of its own. 45 is PyArray_DescrFromType.
inline void ecgan_cast_scalar(PyObject* scalar, void* value, int type) {
    auto descr = reinterpret_cast<PyArrayDescr_Proxy* (*)(int)>(PyArray_API[45])(type);
    PyArray_CastScalarToCtype(scalar, value, descr);
    Py_DECREF(reinterpret_cast<PyObject*>(descr));
}

}  // namespace jittor

// Only where they are called: Jittor has variables of these names, too.
#define PyArray_CopyInto(to, from) ecgan_copy_into(to, from)
#define PyArray_CastScalarToCtype(scalar, value, descr) ecgan_cast_scalar(scalar, value, (descr)->type_num)

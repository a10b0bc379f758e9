/* convert.h: Python's values as C's, for the wrappers that build/shim.py writes. What returns bool gives false, an exception
 * set, for a value that the parameter does not take. A wrapper's variables are SCOPED: what they hold goes with them. */
#ifndef PYOCI_CONVERT_H
#define PYOCI_CONVERT_H

#include <Python.h>
#include <limits.h>
#include <stdbool.h>

#define SCOPED(release) __attribute__((cleanup(release)))

struct numbers { /* of a size; what to_numbers made */
    void *items;
    size_t count;
};

struct strings { /* ended by NULL; what to_strings made. The bytes are the tuple's, which outlives the call. */
    char **items;
};

static inline void free_numbers(struct numbers *n) { PyMem_Free(n->items); }
static inline void free_strings(struct strings *s) { PyMem_Free(s->items); }

static inline bool has(Py_ssize_t given, Py_ssize_t wanted)
{
    if (given != wanted)
        PyErr_Format(PyExc_TypeError, "%zd arguments are expected, not %zd", wanted, given);
    return given == wanted;
}

static inline bool is(int kind, PyObject *given, const char *wanted)
{
    if (!kind)
        PyErr_Format(PyExc_TypeError, "%s is expected, not %.100s", wanted, Py_TYPE(given)->tp_name);
    return kind;
}

/* An int and nothing that could be made one: to ask for that would run code, while the items of a list are looked at */
static inline bool to_signed(PyObject *given, long long least, long long most, long long *to)
{
    if (!is(PyLong_Check(given), given, "an int"))
        return false;
    *to = PyLong_AsLongLong(given);
    if (*to == -1 && PyErr_Occurred())
        return false;
    if (*to < least || *to > most)
        PyErr_Format(PyExc_OverflowError, "%lld is not in the range from %lld to %lld", *to, least, most);
    return *to >= least && *to <= most;
}

static inline bool to_unsigned(PyObject *given, unsigned long long most, unsigned long long *to)
{
    if (!is(PyLong_Check(given), given, "an int"))
        return false;
    *to = PyLong_AsUnsignedLongLong(given);
    if (*to == ULLONG_MAX && PyErr_Occurred())
        return false;
    if (*to > most)
        PyErr_Format(PyExc_OverflowError, "%llu is more than %llu", *to, most);
    return *to <= most;
}

/* bytes without a NUL, which C would take for their end */
static inline bool to_string(PyObject *given, char **to) { return PyBytes_AsStringAndSize(given, to, NULL) == 0; }

/* bytes, bytearray, memoryview ...; its size cannot change until the wrapper lets go of it */
static inline bool to_buffer(PyObject *given, int flags, Py_buffer *to)
{
    return PyObject_GetBuffer(given, to, flags) == 0;
}

/* A list or tuple of ints, as items of int's or of long long's size */
static inline bool to_numbers(PyObject *given, size_t size, struct numbers *to)
{
    const bool wide = size == sizeof(long long);

    if (!is(PyList_Check(given) || PyTuple_Check(given), given, "a list or tuple of ints"))
        return false;
    to->count = (size_t)PySequence_Fast_GET_SIZE(given);
    to->items = PyMem_Malloc(to->count * size);
    if (!to->items)
        return PyErr_NoMemory();
    for (size_t n = 0; n < to->count; n++) {
        long long number;
        if (!to_signed(PySequence_Fast_GET_ITEM(given, (Py_ssize_t)n), wide ? LLONG_MIN : INT_MIN,
                       wide ? LLONG_MAX : INT_MAX, &number))
            return false;
        if (wide)
            ((long long *)to->items)[n] = number;
        else
            ((int *)to->items)[n] = (int)number;
    }
    return true;
}

/* A tuple of bytes: other than a list's, its items stay where they are while other threads run */
static inline bool to_strings(PyObject *given, struct strings *to)
{
    if (!is(PyTuple_Check(given), given, "a tuple of bytes"))
        return false;
    const Py_ssize_t count = PyTuple_GET_SIZE(given);
    to->items = PyMem_New(char *, count + 1);
    if (!to->items)
        return PyErr_NoMemory();
    for (Py_ssize_t n = 0; n < count; n++)
        if (!to_string(PyTuple_GET_ITEM(given, n), &to->items[n]))
            return false;
    to->items[count] = NULL;
    return true;
}

/* Runs what Python does at the signals that were caught meanwhile; whether that raised an exception. For a wrapper's
 * function, during which other threads run. */
static inline int interrupted(void)
{
    PyGILState_STATE state = PyGILState_Ensure();
    int raised = PyErr_CheckSignals();

    PyGILState_Release(state);
    return raised;
}

#endif

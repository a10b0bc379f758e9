/* frozen.h: Python's objects as C data, as each version lays them out; build/frozen.py writes what uses it. Layouts differ
 * by version and by how Python was built: only those are here that somebody has looked at. */
#ifndef PYOCI_FROZEN_H
#define PYOCI_FROZEN_H

#define Py_BUILD_CORE 1 /* the singletons, and the size of a frame */
#include <Python.h>
#include <internal/pycore_runtime.h>
#if PY_VERSION_HEX >= 0x030e0000
#include <internal/pycore_interpframe.h>
#else
#include <internal/pycore_frame.h>
#endif

#if PY_VERSION_HEX < 0x030b0000 || PY_VERSION_HEX >= 0x03100000
#error "nobody has looked at this Python's objects (docs/python.md)"
#endif
#if defined(Py_GIL_DISABLED) || defined(Py_TRACE_REFS) || defined(Py_DEBUG)
#error "a Python built like this has more in its objects"
#endif

/* Code has no zero at its end, and the array is of Python's own declaration */
#if defined(__clang__)
#if __has_warning("-Wunterminated-string-initialization")
#pragma clang diagnostic ignored "-Wunterminated-string-initialization"
#endif
#elif __GNUC__ >= 15
#pragma GCC diagnostic ignored "-Wunterminated-string-initialization"
#endif

/* A count of references that never ends: nothing here is freed. Nor does the garbage collector know of it. */
#if PY_VERSION_HEX >= 0x030e0000
#define HEAD(type) { { _Py_STATIC_IMMORTAL_INITIAL_REFCNT }, &type }
#elif PY_VERSION_HEX >= 0x030c0000
#define HEAD(type) { { _Py_IMMORTAL_REFCNT }, &type }
#else
#define HEAD(type) { 999999999, &type }
#endif
#define SIZED(type, size) { HEAD(type), size }
#define COLLECTOR uintptr_t collector[2] /* before objects that it looks at; 0: not this one */

/* Close together: each page of them that is written to becomes the process's own. Those in a section of their own may be
 * given back, which undoes what was written: reference counts that mean nothing, and what the interpreter has learned of
 * code. Strings are not among them: dictionaries count on the hash that is kept in a key. */
#define OBJECT __attribute__((aligned(8), unused, section("pyoci_frozen")))
#define KEPT __attribute__((aligned(8), unused, section("pyoci_strings")))
/* Apart, since only tracebacks read it */
#define LINES __attribute__((aligned(8), unused, section(".data.lines")))

/* Not interned: the first use as a name makes them one with their equals. The last bit is "ready" in 3.11; from 3.12 on
 * "allocated statically", which would have them interned for ever. */
#if PY_VERSION_HEX >= 0x030c0000
#define CHARACTERS(size, kind, ascii) { HEAD(PyUnicode_Type), size, -1, { 0, kind, 1, ascii, 0 } }
#define WIDE(size, kind) { CHARACTERS(size, kind, 0), 0, NULL }
#else
#define CHARACTERS(size, kind, ascii) { HEAD(PyUnicode_Type), size, -1, { 0, kind, 1, ascii, 1 }, NULL }
#define WIDE(size, kind) { CHARACTERS(size, kind, 0), 0, NULL, 0 }
#endif
#define ASCII(name, size) static struct { PyASCIIObject it; char text[(size) + 1]; } name KEPT
#define TEXT(name, unit, size) static struct { PyCompactUnicodeObject it; unit text[(size) + 1]; } name KEPT
#define BYTES(name, size) static struct { PyVarObject it; Py_hash_t hash; char bytes[(size) + 1]; } name

#if PY_VERSION_HEX >= 0x030e0000
#define TUPLE(name, size) static struct { COLLECTOR; PyVarObject it; Py_hash_t hash; PyObject *items[size]; } name OBJECT
#define TUPLE_HEAD(size) { 0 }, SIZED(PyTuple_Type, size), -1
#else
#define TUPLE(name, size) static struct { COLLECTOR; PyVarObject it; PyObject *items[size]; } name OBJECT
#define TUPLE_HEAD(size) { 0 }, SIZED(PyTuple_Type, size)
#endif

#if PY_VERSION_HEX >= 0x030c0000
#define INTEGER(name, size) static struct { PyObject it; uintptr_t tag; digit digits[size]; } name OBJECT
#define INTEGER_HEAD(size, negative) HEAD(PyLong_Type), (uintptr_t)(size) << 3 | ((size) == 0 ? 1 : (negative) ? 2 : 0)
#else
#define INTEGER(name, size) static struct { PyVarObject it; digit digits[size]; } name OBJECT
#define INTEGER_HEAD(size, negative) SIZED(PyLong_Type, (negative) ? -(size) : (size))
#endif

#define REAL(name) static struct { PyFloatObject it; } name OBJECT
#define SLICE(name) static struct { COLLECTOR; PySliceObject it; } name OBJECT
#define CODE(name, size) static struct { struct _PyCode_DEF(size) it; } name OBJECT
#define AT(name) ((PyObject *)&name.it)

/* What Python has itself, once: it compares some of these by their address */
#define EMPTY_TEXT ((PyObject *)&_Py_STR(empty))
#define CHARACTER(code) \
    ((code) < 128 ? (PyObject *)&_Py_SINGLETON(strings).ascii[(code) & 127] : (PyObject *)&_Py_SINGLETON(strings).latin1[(code) & 127])
#define EMPTY_BYTES ((PyObject *)&_Py_SINGLETON(bytes_empty))
#define BYTE(code) ((PyObject *)&_Py_SINGLETON(bytes_characters)[code])
#define EMPTY_TUPLE ((PyObject *)&_Py_SINGLETON(tuple_empty))
#define SMALL(value) ((PyObject *)&_Py_SINGLETON(small_ints)[_PY_NSMALLNEGINTS + (value)])

/* What a code object says of the frame that it runs in, and that Python works out when it makes one */
#if PY_VERSION_HEX >= 0x030c0000
#define FRAME(slots, plain_cells) .co_framesize = (slots) + FRAME_SPECIALS_SIZE
#else
#define FRAME(slots, plain_cells) .co_nplaincellvars = (plain_cells), .co_warmup = -8
#endif

#endif

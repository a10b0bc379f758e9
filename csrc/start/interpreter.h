/* interpreter.h: what setup.py puts into the interpreter's program: the code of Python modules. */
#ifndef PYOCI_INTERPRETER_H
#define PYOCI_INTERPRETER_H

#include <Python.h>

struct module {
    const char *name;
    PyObject *code; /* or NULL: then in module_code, marshalled by the Python that this is linked with */
    size_t start, size;
    int is_package;
    long long changed; /* its source file's time of change, ns; 0 where the source may not take the code's place */
};

extern const struct module modules[]; /* sorted by name */
extern const size_t module_count;
extern const char module_code[];

/* interpreter.c: the code of a module, and its entry in the table, or NULL; without an error when it has none */
PyObject *module_code_of(const char *name, const struct module **entry);

/* import.c */
extern PyMethodDef import_functions[];

#endif

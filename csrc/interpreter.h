/* interpreter.h: what setup.py puts into the interpreter's program: the code of Python modules. */
#ifndef PYOCI_INTERPRETER_H
#define PYOCI_INTERPRETER_H

#include <stddef.h>

struct module {
    const char *name;
    size_t start, size; /* in module_code: marshalled by the Python that this is linked with */
    int group, place; /* of several modules' code in one piece: its number, -1 for none; the place there, from 0 */
    int is_package;
    long long changed; /* its source file's time of change, ns; 0 where the source may not take the code's place */
};

extern const struct module modules[]; /* sorted by name */
extern const size_t module_count;
extern const char module_code[];

struct group {
    size_t start, size; /* in module_code: a tuple of their code */
};

extern const struct group groups[];
enum { GROUPS_MOST = 32 };

#endif

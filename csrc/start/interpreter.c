/* interpreter.c: Python for the command `pyoci`, as much of it as a command needs. The launcher starts it, after it has
 * cleaned the environment. What the stock program does before its first line is left out: it asks the file system where
 * it lies, lists directories, reads modules; here all places are known since the build, and pyoci's own modules are part
 * of the program. Most commands end before the second half of Python's start, which only `_pyoci.complete()` does. */
#include "interpreter.h"

#include <marshal.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PYOCI_STDLIB
#error "setup.py gives the places of this Python"
#endif

#ifndef PYOCI_IN_TREE
#define PYOCI_IN_TREE ""
#endif

/* Python's start has two halves, and code may run between them, but for what we do in main() about signals: to that a
 * shared library gives no access. */
extern int _PySignal_Init(int install_handlers) __attribute__((weak));
#define HALVES (_PySignal_Init != NULL)

/* 3.11 begins with making every string in the code of its frozen modules one with its equals. Most of them belong to the
 * second half and are never looked at; until then they are equal without being one. The linker puts our function in the
 * place of Python's (--wrap), which waits for complete(). */
extern int __real__Py_Deepfreeze_Init(void) __attribute__((weak));
#define LATE_STRINGS (PY_VERSION_HEX < 0x030c0000 && __real__Py_Deepfreeze_Init)
int __wrap__Py_Deepfreeze_Init(void);

int __wrap__Py_Deepfreeze_Init(void)
{
    return LATE_STRINGS || !__real__Py_Deepfreeze_Init ? 0 : __real__Py_Deepfreeze_Init();
}

/* A command lives for milliseconds, and is not to look for garbage, least of all among what Python makes for itself before
 * anybody could tell it so: in the same way. */
extern PyStatus __real__PyGC_Init(PyInterpreterState *interpreter) __attribute__((weak));
PyStatus __wrap__PyGC_Init(PyInterpreterState *interpreter);

PyStatus __wrap__PyGC_Init(PyInterpreterState *interpreter)
{
    PyStatus status = __real__PyGC_Init(interpreter);

    PyGC_Disable();
    return status;
}

/* Codecs and what is done about characters that one does not know belong to the second half: code that wants them before
 * gets that first. From 3.13 on Python would crash. */
static int codecs_may_come(void);

#define LATE_CODECS(name, declared, passed)                                                                             \
    extern PyObject *__real_##name declared __attribute__((weak));                                                     \
    PyObject *__wrap_##name declared;                                                                                   \
    PyObject *__wrap_##name declared { return codecs_may_come() ? __real_##name passed : NULL; }

LATE_CODECS(PyCodec_LookupError, (const char *name), (name))
LATE_CODECS(_PyCodec_EncodeText, (PyObject * text, const char *encoding, const char *errors), (text, encoding, errors))
LATE_CODECS(_PyCodec_DecodeText, (PyObject * data, const char *encoding, const char *errors), (data, encoding, errors))

PyMODINIT_FUNC PyInit__native(void); /* csrc/build/shim.py */

static PyObject *argv_list; /* sys.argv is made by the second half only */

static int compare(const void *name, const void *entry) { return strcmp(name, ((const struct module *)entry)->name); }

PyObject *module_code_of(const char *name, const struct module **entry)
{
    const struct module *m = *entry = bsearch(name, modules, module_count, sizeof *modules, compare);

    if (!m)
        return NULL;
    if (!m->code)
        return PyMarshal_ReadObjectFromString(module_code + m->start, (Py_ssize_t)m->size);
    Py_INCREF(m->code);
    return m->code;
}

static PyObject *find(PyObject *self, PyObject *name)
{
    const struct module *entry;
    const char *text = PyUnicode_AsUTF8(name);
    PyObject *code;

    (void)self;
    if (!text)
        return NULL;
    code = module_code_of(text, &entry);
    if (code)
        return Py_BuildValue("(NOL)", code, entry->is_package ? Py_True : Py_False, entry->changed);
    if (entry)
        return NULL;
    Py_RETURN_NONE;
}

static PyConfig config;
static enum { CORE, BOOTED, WHOLE } started; /* BOOTED: boot.py runs, with the first half of Python's start alone */

static PyStatus second_half(void)
{
#if PY_VERSION_HEX >= 0x030e0000 && PY_VERSION_HEX < 0x030f0000
    config._init_main = 1; /* 3.14 has no _Py_InitializeMain(): the same call once more goes on where it stopped */
    return Py_InitializeFromConfig(&config);
#else
    return _Py_InitializeMain();
#endif
}

static PyObject *complete(PyObject *self, PyObject *unused)
{
    PyStatus status;

    (void)self;
    (void)unused;
    if (started == WHOLE || !HALVES)
        Py_RETURN_FALSE;
    started = WHOLE;
    if (LATE_STRINGS && __real__Py_Deepfreeze_Init() < 0)
        return PyErr_NoMemory();
    status = second_half();
    if (!PyStatus_Exception(status))
        Py_RETURN_TRUE;
    return PyErr_Format(PyExc_RuntimeError, "%s", status.err_msg ? status.err_msg : "Python does not start");
}

/* By boot.py's function, which has more to do */
static int codecs_may_come(void)
{
    if (started != BOOTED || !HALVES)
        return 1;
    PyObject *main = PyImport_AddModule("__main__"), *done = main ? PyObject_CallMethod(main, "complete", NULL) : NULL;
    Py_XDECREF(done);
    return done != NULL;
}

/* Free memory, and the pages of Python code that were written to, back to what the file has: what a process that waits would keep for
 * itself (frozen.h). Without frozen code there are none. */
extern char __start_pyoci_frozen[] __attribute__((weak)), __stop_pyoci_frozen[] __attribute__((weak));

static PyObject *give_back(PyObject *self, PyObject *unused)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)__start_pyoci_frozen + page - 1) / page * page;
    uintptr_t to = (uintptr_t)__stop_pyoci_frozen / page * page;

    (void)self;
    (void)unused;
#ifdef M_ARENA_MAX
    malloc_trim(0);
#endif
    return PyLong_FromLong(from < to ? madvise((void *)from, to - from, MADV_DONTNEED) : -1);
}

static PyMethodDef functions[] = {
    { "find", find, METH_O, "(code, is a package, its source's time of change in ns), or None" },
    { "complete", complete, METH_NOARGS,
      "The rest of Python's start: codecs, streams, imports from files; true when this call did it" },
    { "give_back", give_back, METH_NOARGS, "Gives free memory back, and pages of code that were written to" },
    { NULL, NULL, 0, NULL },
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_pyoci", "What the program knows.", -1, functions, NULL, NULL, NULL, NULL,
};

static PyObject *make_module(void)
{
    PyObject *module = PyModule_Create(&definition);

    if (!module || PyModule_AddFunctions(module, import_functions) < 0 ||
        PyModule_AddObject(module, "argv", argv_list) < 0 || PyModule_AddIntConstant(module, "HALVES", HALVES) < 0 ||
        PyModule_AddStringConstant(module, "START", PYOCI_START) < 0 ||
        PyModule_AddStringConstant(module, "TREE", PYOCI_IN_TREE) < 0 ||
        PyModule_AddStringConstant(module, "PACKAGES", PYOCI_PACKAGES) < 0 ||
        PyModule_AddStringConstant(module, "STDLIB", PYOCI_STDLIB) < 0 ||
        PyModule_AddStringConstant(module, "EXTENSIONS", PYOCI_EXTENSIONS) < 0 ||
        PyModule_AddStringConstant(module, "SUFFIX", PYOCI_SUFFIX) < 0)
        return NULL;
    return module;
}

static void check(PyStatus status)
{
    if (!PyStatus_Exception(status))
        return;
    fprintf(stderr, "pyoci: Python does not start: %s\n", status.err_msg ? status.err_msg : "no reason given");
    _exit(1);
}

static void append(PyWideStringList *list, const char *text)
{
    wchar_t *wide = Py_DecodeLocale(text, NULL);

    check(wide ? PyWideStringList_Append(list, wide) : PyStatus_NoMemory());
    PyMem_RawFree(wide);
}

static void configure(int argc, char **argv)
{
    const struct {
        wchar_t **field;
        const char *text;
    } strings[] = {
        { &config.program_name, PYOCI_PYTHON },    { &config.executable, PYOCI_PYTHON },
        { &config.base_executable, PYOCI_PYTHON }, { &config.prefix, PYOCI_PREFIX },
        { &config.base_prefix, PYOCI_PREFIX },     { &config.exec_prefix, PYOCI_EXEC_PREFIX },
        { &config.platlibdir, PYOCI_PLATLIBDIR },  { &config.base_exec_prefix, PYOCI_EXEC_PREFIX },
        { &config.stdlib_dir, PYOCI_STDLIB },      { &config.check_hash_pycs_mode, "always" },
    };
    const char *const path[] = { PYOCI_STDLIB, PYOCI_EXTENSIONS };
    char born[64];

    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.write_bytecode = 0;
    config.parse_argv = 0;
    config.install_signal_handlers = !HALVES;
    config.pathconfig_warnings = 0;
    config._init_main = !HALVES;
    config.module_search_paths_set = 1;
    for (size_t n = 0; n < sizeof strings / sizeof *strings; n++)
        check(PyConfig_SetBytesString(&config, strings[n].field, strings[n].text));
    for (size_t n = 0; n < sizeof path / sizeof *path; n++)
        append(&config.module_search_paths, path[n]);
    snprintf(born, sizeof born, "started=%s", argv[1]);
    append(&config.xoptions, born);
    check(PyConfig_SetBytesArgv(&config, argc, argv));
}

/* Runs pyoci/start/boot.py as __main__; it ends the process itself, and returns only when it fails */
static int boot(void)
{
    const struct module *entry;
    PyObject *main = PyImport_AddModule("__main__"), *code = module_code_of("pyoci.start.boot", &entry);
    PyObject *globals = main ? PyModule_GetDict(main) : NULL;

    if (globals && code && PyDict_SetItemString(globals, "__builtins__", PyEval_GetBuiltins()) == 0)
        PyEval_EvalCode(code, globals, globals);
    if (PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
        return 130; /* as pyoci/cli says it; before and after that there is nobody to say it */
    PyErr_Print();
    return 1;
}

/* argv: this program's whole path, when the launcher was started (CLOCK_MONOTONIC, ns), the caller's words */
int main(int argc, char **argv)
{
    PyPreConfig before;

    if (argc < 2 || !strrchr(argv[0], '/')) {
        fputs("pyoci: this program is started by the command pyoci\n", stderr);
        return 1;
    }
    /* What the config holds is nobody's: no core file, no look into us by others of the same user (ptrace(2)) */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, 1); /* only one thread at a time runs Python: they need no memory each of its own */
#endif
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    check(Py_PreInitialize(&before));
    if (PyImport_AppendInittab("_pyoci", make_module) < 0 ||
        PyImport_AppendInittab("pyoci._native", PyInit__native) < 0)
        return 1;
    configure(argc, argv);
    check(Py_InitializeFromConfig(&config));
    if (HALVES && _PySignal_Init(1) < 0)
        return 1;
    argv_list = PyList_New(0);
    for (int n = 0; n < argc && argv_list; n++) {
        PyObject *word = PyUnicode_DecodeFSDefault(argv[n]);
        if (!word || PyList_Append(argv_list, word) < 0)
            return 1;
        Py_DECREF(word);
    }
    started = BOOTED;
    return boot();
}

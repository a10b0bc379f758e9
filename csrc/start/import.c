/* import.c: imports of the modules whose code is in the program. A command imports seventy, and Python's own way costs
 * 100,000 instructions for each. What is not of the program goes to boot.py. */
#include "interpreter.h"

#define LONGEST 256 /* bytes of a module's name or file below its place; the longest has 40 */

static struct {
    PyObject *builtins, *dict, *file, *initializing, *name, *package, *path, *places, *spec;
} key;

/* boot.py's; see begin() */
static PyObject *spec_type, *blank_spec, *ours, *stdlib, *load_other, *from_other;
static int in_tree;

/* The turn of one thread at a time, which may take it again: Python has no lock around imports but for its own. All of it
 * is read and written under Python's global lock, but for the wait. */
static struct {
    PyThread_type_lock lock;
    unsigned long owner;
    unsigned depth;
} turn;

static void take_turn(void)
{
    unsigned long me = PyThread_get_thread_ident();

    if (turn.depth == 0 || turn.owner != me) {
        if (!PyThread_acquire_lock(turn.lock, NOWAIT_LOCK)) {
            Py_BEGIN_ALLOW_THREADS PyThread_acquire_lock(turn.lock, WAIT_LOCK);
            Py_END_ALLOW_THREADS
        }
        turn.owner = me;
    }
    turn.depth++;
}

static void leave_turn(void)
{
    if (--turn.depth == 0)
        PyThread_release_lock(turn.lock);
}

/* The module of this name that runs or has run; NULL without an error when there is none */
static PyObject *known_module(PyObject *name)
{
    PyObject *module = PyImport_GetModule(name);

    if (module == Py_None)
        Py_CLEAR(module);
    return module;
}

/* A spec like any other, by a copy of a blank one: its constructor is Python code and sets attribute by attribute.
 * known: its attributes, owned by the caller; PyObject_GenericSetDict() would leave 3.13 looking into the object */
static PyObject *spec_of(PyObject *known)
{
    PyObject *spec = PyType_GenericAlloc((PyTypeObject *)spec_type, 0);

    if (spec && PyObject_SetAttr(spec, key.dict, known) < 0)
        Py_CLEAR(spec);
    return spec;
}

/* Sets __file__, and __path__ of a package */
static int set_places(PyObject *names, PyObject *known, const char *name, size_t size, int is_package)
{
    PyObject *top = strncmp(name, "pyoci", 5) == 0 ? ours : stdlib, *file, *place, *places = NULL;
    char below[LONGEST + sizeof "/__init__.py"];
    int result = -1;

    for (size_t n = 0; n < size; n++)
        below[n] = name[n] == '.' ? '/' : name[n];
    strcpy(below + size, is_package ? "/__init__.py" : ".py");
    file = PyUnicode_FromString(below);
    if (file)
        Py_SETREF(file, PyUnicode_Concat(top, file));
    if (file && is_package) {
        place = PyUnicode_Substring(file, 0, PyUnicode_GET_LENGTH(file) - (Py_ssize_t)strlen("/__init__.py"));
        places = place ? PyList_New(1) : NULL;
        if (places)
            PyList_SET_ITEM(places, 0, place);
        else
            Py_XDECREF(place);
    }
    if (file && PyDict_SetItem(names, key.file, file) == 0 &&
        (!is_package ||
         (places && PyDict_SetItem(names, key.path, places) == 0 && PyDict_SetItem(known, key.places, places) == 0)))
        result = 0;
    Py_XDECREF(places);
    Py_XDECREF(file);
    return result;
}

/* A new module that has not run. known: its spec's attributes */
static PyObject *make(PyObject *name, PyObject *parent, PyObject *known, const char *text, size_t size, int is_package)
{
    PyObject *module = PyModule_NewObject(name), *names = module ? PyModule_GetDict(module) : NULL, *spec = NULL;

    if (names && PyDict_SetItem(known, key.name, name) == 0 && PyDict_SetItem(known, key.initializing, Py_True) == 0 &&
        PyDict_SetItem(names, key.package, is_package ? name : parent) == 0 &&
        PyDict_SetItem(names, key.builtins, PyEval_GetBuiltins()) == 0 &&
        set_places(names, known, text, size, is_package) == 0)
        spec = spec_of(known);
    if (!spec || PyDict_SetItem(names, key.spec, spec) < 0)
        Py_CLEAR(module);
    Py_XDECREF(spec);
    return module;
}

/* Runs a module's code; it is in sys.modules meanwhile, and afterwards if nothing is raised */
static int run(PyObject *name, PyObject *module, PyObject *code)
{
    PyObject *modules = PyImport_GetModuleDict(), *names = PyModule_GetDict(module), *done, *type, *value, *trace;

    if (PyObject_SetItem(modules, name, module) < 0)
        return -1;
    done = PyEval_EvalCode(code, names, names);
    Py_XDECREF(done);
    if (done)
        return 0;
    PyErr_Fetch(&type, &value, &trace);
    if (PyObject_DelItem(modules, name) < 0)
        PyErr_Clear();
    PyErr_Restore(type, value, trace);
    return -1;
}

/* Makes a module from its code and runs it. parent: "" of a module at the top; leaf: the last part of the name */
static PyObject *import_code(PyObject *name, PyObject *parent, const char *text, const char *leaf, PyObject *code,
                             int is_package)
{
    PyObject *known, *module, *above;
    int failed;

    if (leaf != text) {
        above = known_module(parent);
        if (!above && !PyErr_Occurred() && (above = PyImport_Import(parent))) {
            module = known_module(name); /* the parent has imported it */
            if (module || PyErr_Occurred()) {
                Py_DECREF(above);
                return module;
            }
        }
        if (!above)
            return NULL;
    } else {
        above = NULL;
    }
    known = PyDict_Copy(blank_spec);
    module = known ? make(name, parent, known, text, strlen(text), is_package) : NULL;
    failed = !module || run(name, module, code) < 0 || PyDict_SetItem(known, key.initializing, Py_False) < 0 ||
             (above && PyObject_SetAttrString(above, leaf, module) < 0);
    if (failed)
        Py_CLEAR(module);
    Py_XDECREF(known);
    Py_XDECREF(above);
    return module;
}

/* own(name, code, is a package) */
static PyObject *own(PyObject *name, PyObject *code, int is_package)
{
    const char *text = PyUnicode_AsUTF8(name), *dot = text ? strrchr(text, '.') : NULL;
    PyObject *parent, *module;

    if (!text)
        return NULL;
    if (strlen(text) >= LONGEST)
        return PyErr_Format(PyExc_ImportError, "a name of %zu bytes", strlen(text));
    parent = PyUnicode_FromStringAndSize(text, dot ? dot - text : 0);
    module = parent ? import_code(name, parent, text, dot ? dot + 1 : text, code, is_package) : NULL;
    Py_XDECREF(parent);
    return module;
}

static PyObject *own_method(PyObject *self, PyObject *args)
{
    PyObject *name, *code;
    int is_package;

    (void)self;
    return PyArg_ParseTuple(args, "UOp", &name, &code, &is_package) ? own(name, code, is_package) : NULL;
}

static PyObject *load(PyObject *name, PyObject *importer)
{
    const struct module *entry = NULL;
    const char *text = PyUnicode_AsUTF8(name);
    PyObject *code = text && !in_tree ? module_code_of(text, &entry) : NULL, *module;

    if (!text || (entry && !code))
        return NULL;
    if (!entry)
        return PyObject_CallFunctionObjArgs(load_other, name, importer, NULL);
    module = own(name, code, entry->is_package);
    Py_DECREF(code);
    return module;
}

static int is_call(PyObject *const *given, Py_ssize_t count)
{
    if (count == 2 && PyUnicode_Check(given[0]))
        return 1;
    PyErr_SetString(PyExc_TypeError, "Python's import calls this");
    return 0;
}

static PyObject *find_and_load(PyObject *self, PyObject *const *given, Py_ssize_t count)
{
    PyObject *module;

    (void)self;
    if (!is_call(given, count))
        return NULL;
    take_turn();
    module = known_module(given[0]);
    if (!module && !PyErr_Occurred())
        module = load(given[0], given[1]);
    leave_turn();
    return module;
}

static PyObject *wait_for(PyObject *self, PyObject *name)
{
    (void)self;
    (void)name;
    take_turn();
    leave_turn();
    Py_RETURN_NONE;
}

static PyObject *from_package(PyObject *self, PyObject *const *given, Py_ssize_t count)
{
    PyObject *known;

    (void)self;
    if (count != 3 || !PyModule_Check(given[0]) || !PyTuple_Check(given[1]))
        return PyObject_Vectorcall(from_other, given, (size_t)count, NULL);
    known = PyModule_GetDict(given[0]);
    for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(given[1]); n++) {
        int there = PyDict_Contains(known, PyTuple_GET_ITEM(given[1], n));
        if (there < 0)
            return NULL;
        if (!there)
            return PyObject_Vectorcall(from_other, given, (size_t)count, NULL);
    }
    Py_INCREF(given[0]);
    return given[0];
}

static PyObject *begin(PyObject *self, PyObject *args)
{
    const struct {
        PyObject **word;
        const char *text;
    } words[] = {
        { &key.builtins, "__builtins__" },
        { &key.dict, "__dict__" },
        { &key.file, "__file__" },
        { &key.initializing, "_initializing" },
        { &key.name, "name" },
        { &key.path, "__path__" },
        { &key.package, "__package__" },
        { &key.spec, "__spec__" },
        { &key.places, "submodule_search_locations" },
    };
    PyObject *given[6];

    (void)self;
    if (!PyArg_ParseTuple(args, "O!O!UUOOp", &PyType_Type, &given[0], &PyDict_Type, &given[1], &given[2], &given[3],
                          &given[4], &given[5], &in_tree))
        return NULL;
    for (size_t n = 0; n < sizeof words / sizeof *words; n++)
        if (!(*words[n].word = PyUnicode_InternFromString(words[n].text)))
            return NULL;
    turn.lock = PyThread_allocate_lock();
    if (!turn.lock)
        return PyErr_NoMemory();
    for (size_t n = 0; n < sizeof given / sizeof *given; n++)
        Py_INCREF(given[n]);
    spec_type = given[0];
    blank_spec = given[1];
    ours = given[2];
    stdlib = given[3];
    load_other = given[4];
    from_other = given[5];
    Py_RETURN_NONE;
}

PyMethodDef import_functions[] = {
    { "begin", begin, METH_VARARGS,
      "type of specs, a blank one's attributes, pyoci's place and the standard library's, each with its /, what loads "
      "and "
      "what takes from packages that are not of the program, may sources take the place of code?" },
    { "own", own_method, METH_VARARGS, "name, code, is it a package: imports a module" },
    /* In the place of Python's own functions, whose names they have there */
    { "find_and_load", (PyCFunction)(void (*)(void))find_and_load, METH_FASTCALL, "a module that sys.modules has not" },
    { "from_package", (PyCFunction)(void (*)(void))from_package, METH_FASTCALL, "what `from package import` asks for" },
    { "wait_for", wait_for, METH_O, "until a module has run that another thread imports" },
    { NULL, NULL, 0, NULL },
};

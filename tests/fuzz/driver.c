/* libFuzzer's side of a fuzz target: starts Python in this process and hands each input to a Python function.
 *
 * The compiled modules of the fuzz build report to libFuzzer which of their branches an input took, so inputs evolve
 * towards new branches of the hot path itself. An input is passed as a memoryview of libFuzzer's own buffer, which is
 * exactly as long as the input: AddressSanitizer sees a read of a single byte beyond it.
 *
 * Environment: AUTHSWITCH_FUZZ_PYTHON, the interpreter whose packages are used; AUTHSWITCH_FUZZ_TARGET, the name of a
 * function of tests.fuzz.targets.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>

static PyObject *target;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    if (PyErr_Occurred()) PyErr_Print();
    fflush(NULL);
    abort(); /* libFuzzer keeps the input */
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    const char *python = getenv("AUTHSWITCH_FUZZ_PYTHON");
    const char *name = getenv("AUTHSWITCH_FUZZ_TARGET");
    PyConfig config;
    (void)argc, (void)argv;
    if (!python || !name) fail("AUTHSWITCH_FUZZ_PYTHON and AUTHSWITCH_FUZZ_TARGET are needed");
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0;
    config.parse_argv = 0;
    PyConfig_SetBytesString(&config, &config.program_name, python);
    if (PyStatus_Exception(Py_InitializeFromConfig(&config))) fail("Python does not start");
    PyConfig_Clear(&config);
    PyObject *module = PyImport_ImportModule("tests.fuzz.targets");
    PyObject *targets = module ? PyObject_GetAttrString(module, "TARGETS") : NULL;
    target = targets ? PyMapping_GetItemString(targets, name) : NULL;
    if (!target) fail("no such fuzz target");
    Py_DECREF(targets);
    Py_DECREF(module);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char nothing[1];
    PyObject *view = PyMemoryView_FromMemory(size ? (char *)data : nothing, (Py_ssize_t)size, PyBUF_READ);
    PyObject *result = view ? PyObject_CallOneArg(target, view) : NULL;
    if (!result) fail("the target failed");
    Py_DECREF(result);
    Py_DECREF(view);
    return 0;
}

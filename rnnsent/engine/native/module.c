/* Makes the library an extension module that Python's tools can build, install and find. It is empty: see kernel.py. */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT, .m_name = "_native", .m_doc = "The native kernel, reached through ctypes.",
    .m_size = -1};

PyMODINIT_FUNC PyInit__native(void);
PyMODINIT_FUNC PyInit__native(void)
{
    return PyModule_Create(&module);
}

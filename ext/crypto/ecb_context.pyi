# For compiled modules only: nothing of this module is visible from Python.

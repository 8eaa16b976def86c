"""What the process asks of the kernel, tried in processes of its own."""

import json
import subprocess
import sys

PROTECTED = """
import ctypes, resource
from switch.server.process import protect_memory
protect_memory()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""

RAISED = """
import resource
from switch.server.process import raise_descriptor_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))
print([raise_descriptor_limit(needed) for needed in (10, 100, 90, 1000)])
"""

BROKEN_STEP = """
import sys
from types import SimpleNamespace
from switch.base.log import configure_logging
from switch.server.process import watch_for_broken_steps
watch_for_broken_steps(configure_logging())
def raised(where, error):
    sys.unraisablehook(SimpleNamespace(object=where, exc_type=type(error), exc_value=error, exc_traceback=None))
raised(object(), ValueError("of a finalizer"))
print("goes on", flush=True)
raised("switch.path.issuer_answer._time_out", MemoryError("no room"))
print("went on", flush=True)
"""

THREAD = """
import threading
import warnings
from switch.base.log import configure_logging
from switch.server.process import watch_for_broken_steps
writer = configure_logging()
watch_for_broken_steps(writer)
thread = threading.Thread(target=lambda: 1 / 0, name="worker")
thread.start()
thread.join()
warnings.warn("old way")
assert writer.finish(10)
"""

QUIET = """
import os
from switch.server.process import silence_standard_error
os.write(2, b"before")
silence_standard_error()
os.write(2, b"after")
"""


def run(script):
    """What a script prints."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_memory_is_kept_out_of_core_files():
    assert run(PROTECTED) == "(0, 0) 0"


def test_descriptors_are_raised_as_far_as_the_hard_limit():
    assert run(RAISED) == "[64, 100, 100, 512]"


def test_broken_step_ends_the_process():
    done = subprocess.run([sys.executable, "-c", BROKEN_STEP], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (70, "goes on\n")
    first, last = map(json.loads, done.stderr.splitlines())
    assert (first["level"], first["error"]) == ("error", "ValueError: of a finalizer")
    assert (last["level"], last["where"]) == ("critical", "switch.path.issuer_answer._time_out")
    assert last["error"] == "MemoryError: no room"


def test_what_python_says_goes_to_the_log():
    done = subprocess.run([sys.executable, "-c", THREAD], capture_output=True, text=True, check=True)
    thread, warning = map(json.loads, done.stderr.splitlines())
    assert (thread["event"], thread["thread"]) == ("a thread ended", "worker")
    assert "ZeroDivisionError" in thread["exception"]
    assert "old way" in warning["event"]


def test_nothing_more_is_said_on_a_silenced_standard_error():
    done = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, check=True)
    assert done.stderr == "before"

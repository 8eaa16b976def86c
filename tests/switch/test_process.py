"""What the process asks of the kernel, tried in processes of its own."""

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


def run(script):
    """What a script prints."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_memory_is_kept_out_of_core_files():
    assert run(PROTECTED) == "(0, 0) 0"


def test_descriptors_are_raised_as_far_as_the_hard_limit():
    assert run(RAISED) == "[64, 100, 100, 512]"

"""Shared by all tests: nothing is written beside the sources, and a busy machine is no failure."""

import atexit
import os
import shutil
import sys
import tempfile

from hypothesis import settings

os.environ.setdefault("COLUMNS", "100")

if sys.dont_write_bytecode and "PYTHONPYCACHEPREFIX" not in os.environ:
    # what the commands of the tests and the workers of pytest-xdist compile is kept until the end of the session, or each of
    # them would compile all of it again: half of the processor time of a short command
    os.environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp(prefix="sdtrace-bytecode-")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    atexit.register(shutil.rmtree, os.environ["PYTHONPYCACHEPREFIX"], ignore_errors=True)

settings.register_profile("calm", deadline=None)
settings.load_profile("calm")

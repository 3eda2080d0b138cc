"""Shared by all tests: nothing is written beside the sources, and a busy machine is no failure."""

import os

from hypothesis import settings

os.environ.setdefault("COLUMNS", "100")

settings.register_profile("calm", deadline=None)
settings.load_profile("calm")

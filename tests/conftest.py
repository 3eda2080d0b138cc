"""Shared by all tests: nothing is written beside the sources."""

import os

os.environ.setdefault("COLUMNS", "100")

"""Shared by all tests: nothing is written beside the sources, and a busy machine is no failure."""

import importlib
import os
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from hypothesis import settings

os.environ.setdefault("COLUMNS", "100")

settings.register_profile("calm", deadline=None)
settings.load_profile("calm")


class _OldNames(MetaPathFinder, Loader):
    """Until every branch is over the move of the helpers: `simulate_laws` is tests.made.laws. To be removed."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        old = name == "simulate" or name.startswith("simulate_") or name == "log_samples"
        return ModuleSpec(name, self) if old else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return importlib.import_module(f"tests.made.{spec.name.removeprefix('simulate_')}")

    def exec_module(self, module: ModuleType) -> None:
        pass


sys.meta_path.append(_OldNames())

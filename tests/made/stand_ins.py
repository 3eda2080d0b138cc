"""Packages that an engine imports and that its verification never calls (grammars, images, parsers of tools): empty ones in their place.

Only what is not installed is stood in for, and only what is named; every other package that is missing ends the import.
"""

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

#: For images, notebooks, grammars, compressed weights, and for parsing and tokenizing text.
UNUSED = frozenset({
    "IPython", "compressed_tensors", "cv2", "llguidance", "openai_harmony", "partial_json_parser", "pydantic_extra_types", "sentencepiece",
    "tiktoken", "torchvision", "tvm_ffi", "xgrammar",
})  # fmt: skip
#: Exit code of a driver whose engine cannot be imported here.
MISSING = 3


class _Kind(type):
    """Classes of a package that stands in: they are derived from, subscripted and asked for members; nothing comes of it."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock()

    def __getitem__(cls, key: Any) -> Any:
        return cls


class _Package(ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Kind(
            name, (), {"__init__": lambda self, *_, **__: None, "__get_pydantic_core_schema__": classmethod(_any)}
        )
        setattr(self, name, made)
        return made


def _any(cls: type, *_: Any) -> Any:
    return import_module("pydantic_core").core_schema.any_schema()


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in UNUSED:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Package(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is in it."""


def stand_in() -> None:
    """From now on those of UNUSED are importable; asked last, so that what is installed is taken."""
    sys.meta_path.append(_Finder())

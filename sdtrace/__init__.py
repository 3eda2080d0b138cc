"""sdtrace: diagnostics for speculative decoding in LLM serving.

`read`, `report`, `tune`, `explain` do what the commands do. They load on first use, so that `import sdtrace` costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sdtrace.api import diff, explain, report, tune
    from sdtrace.pipeline import read
    from sdtrace.results.report import Report

__all__ = ["Report", "diff", "explain", "read", "report", "tune"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'sdtrace' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("sdtrace.results.report" if name == "Report" else "sdtrace.api"), name)

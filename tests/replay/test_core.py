"""The core of a replay can be carried to a machine that has torch and numpy alone (tests/replay/gpu.py)."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imported(file: Path) -> set[str]:
    """Modules that a file imports when it is loaded; what functions import is their own."""
    found: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def file_of(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)


def test_the_core_needs_torch_and_numpy_alone() -> None:
    left, seen, others = [ROOT / "tests/replay/gpu.py"], set[Path](), set[str]()
    while left:
        file = left.pop()
        if file in seen:
            continue
        seen.add(file)
        for module in imported(file):
            parts = module.split(".")
            if parts[0] == "sdtrace":
                packages = (file_of(".".join(parts[:n])) for n in range(1, len(parts) + 1))
                left += [one for one in packages if one is not None]
            elif parts[0] not in sys.stdlib_module_names:
                others.add(parts[0])
    assert others == {"numpy", "torch"}
    assert {"packing", "passes", "bands", "contexts"} <= {file.stem for file in seen}

"""Prints a pip constraint for the lowest version that pyproject.toml promises of each dependency, test ones included.

A dependency without a lowest version is an error: it would promise all of them.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any


def lowest(project: dict[str, Any]) -> list[str]:
    """`name==version` of every requirement of the package and of its extra `test`."""
    wanted: list[str] = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    found = [re.fullmatch(r"([\w.-]+)\s*>=\s*([\d.]+)", one) for one in wanted]
    unbound = [one for one, match in zip(wanted, found, strict=True) if match is None]
    if unbound:
        sys.exit(f"no lowest version: {', '.join(unbound)}")
    return [f"{match[1]}=={match[2]}" for match in found if match]


if __name__ == "__main__":
    text = Path(__file__).parents[1].joinpath("pyproject.toml").read_text()
    print("\n".join(lowest(tomllib.loads(text)["project"])))

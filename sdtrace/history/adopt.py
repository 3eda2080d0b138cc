"""A state of format 1, which had neither marker nor checksums of its own: taken over where it is proved a state.

It is proved where its manifest describes exactly the files that are there: each is what was written, and beside them is
nothing but what a killed run of that version left, which stays.
"""

import secrets
from pathlib import Path

import orjson

from sdtrace.errors import StateError
from sdtrace.history import manifest as manifests
from sdtrace.history.manifest import ASIDE, FILE, FOLDER, LOCK, MANIFEST, MARKER, OWNER, damaged
from sdtrace.schema.json_values import Json

_HINT = "move what is not the state's to another place; if all of it is the state's, restore it from a backup"


def taken_over(place: Path, manifest: Json) -> Json:
    """The manifest with an id and the marks of ownership, which now are in the folder. Raises StateError.

    Nothing is changed before all is proved. What a killed run has begun here is done again.
    """
    for entry in manifest["nights"].values():
        for broken, why in manifests.unsound(place, entry):
            raise damaged(broken, why)
    alone(place)
    id = _id(place)
    manifests.write(place / MARKER, manifests.marker(id))
    nights = {}
    for night, entry in manifest["nights"].items():
        mark = place / "nights" / entry["folder"] / OWNER
        manifests.write(mark, manifests.owner(id))
        nights[night] = entry | {"files": entry["files"] | {OWNER: manifests.digest(manifests.owner(id))}}
    return manifest | {"id": id, "nights": nights}


def alone(place: Path) -> None:
    """Raises StateError where a folder of format 1 holds what no run of any version has written."""
    for strange in _strange(place):
        raise StateError(f"{strange}: is no part of the state that {MANIFEST} describes; nothing was changed", _HINT)


def _id(place: Path) -> str:
    """The id that a killed run of this has given, or a new one."""
    try:
        found = str(orjson.loads((place / MARKER).read_bytes())["id"])
        if (place / MARKER).read_bytes() == manifests.marker(found):
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return secrets.token_hex(16)


def _strange(place: Path) -> list[Path]:
    """What no run of any version has written."""
    known = {MANIFEST, MARKER, LOCK, ASIDE, "nights"}
    found = [child for child in sorted(place.iterdir()) if child.name not in known and not child.name.startswith(".")]
    top = place / "nights"
    for folder in sorted(top.iterdir()) if top.is_dir() else ():
        if folder.is_symlink() or not folder.is_dir() or not FOLDER.fullmatch(folder.name):
            found.append(folder)
            continue
        for file in sorted(folder.rglob("*")):
            name = str(file.relative_to(folder))
            if name != "audit" and (not FILE.fullmatch(name) or file.is_symlink() or not file.is_file()):
                found.append(file)
    return found

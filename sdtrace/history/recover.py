"""Going on from a damaged state: what is sound stays, what is damaged is moved into `set-aside`, nothing is removed."""

import os
from pathlib import Path

from sdtrace.errors import OutputError, StateError
from sdtrace.history import adopt
from sdtrace.history import manifest as manifests
from sdtrace.history.folder import held, kind, ours
from sdtrace.history.manifest import ASIDE, MANIFEST, MARKER, OWNER, PREVIOUS
from sdtrace.history.state import FORMAT, MIGRATIONS
from sdtrace.schema.json_values import Json
from sdtrace.version import VERSION


def recovered(folder: str | Path) -> list[str]:
    """Make a state whole again; what was done, in sentences, none where nothing was damaged.

    The manifest, or else the one before it, says which nights there are. A night of which only the sums are damaged is
    closed; one whose record or report is damaged is set aside, unless the previous manifest has it as it was before.
    Raises StateError where neither manifest can be read, StateHeldError where a run holds the state.
    """
    place = Path(folder)
    if kind(place) == "new":
        raise StateError(f"{folder}: no state of sdtrace", "sdtrace nightly INPUT --state DIR makes one")
    _manifests(place)  # not even a lock in a folder that is not ours
    with held(place):
        try:
            current, before = _manifests(place)
            found = current or before
            assert found is not None
            if found["format"] < manifests.CHECKED:
                return _taken_over(place, found)
            return _mended(place, found, current, before)
        except OSError as failed:
            raise OutputError(
                f"{failed.filename or place}: {failed.strerror}", "name a state that may be written to"
            ) from failed


def _manifests(place: Path) -> tuple[Json | None, Json | None]:
    """The manifest and the one before it, None for one that is damaged. Raises StateError where both are."""
    read: list[Json | StateError] = []
    for name in (MANIFEST, PREVIOUS):
        try:
            read.append(manifests.read(place / name, FORMAT, VERSION, MIGRATIONS))
        except manifests.NewerError:
            raise
        except StateError as error:
            read.append(error)
    current, before = read
    if isinstance(current, StateError) and isinstance(before, StateError):
        raise StateError(current.message, "restore the state from a backup, or begin a new one with --state")
    return None if isinstance(current, StateError) else current, None if isinstance(before, StateError) else before


def _taken_over(place: Path, document: Json) -> list[str]:
    """A state of format 1, of which there is no manifest but this one."""
    adopt.alone(place)
    said, nights = [], {}
    for night, entry in document["nights"].items():
        kept = _sound(place, entry)
        if kept is not None:
            nights[night] = kept
        if kept is not entry:
            folder = place / "nights" / entry["folder"]
            what, name = (folder, "") if kept is None else (folder / "audit", f"{folder.name}.audit")
            said.append(
                f"{night}: damaged; set aside: {_put_aside(place, what, name) if os.path.lexists(what) else what}"
            )
    manifest = adopt.taken_over(place, document | {"nights": nights}) | {"format": FORMAT, "version": VERSION}
    manifests.write(place / MANIFEST, manifests.dumped(manifest))
    return said


def _mended(place: Path, document: Json, current: Json | None, before: Json | None) -> list[str]:
    said = []
    if current is None and os.path.lexists(place / MANIFEST):
        said.append(f"set aside, and the one before it taken: {_put_aside(place, place / MANIFEST)}")
    if os.path.lexists(place / PREVIOUS) and (before is None or before["id"] != document["id"]):
        said.append(f"set aside: {_put_aside(place, place / PREVIOUS)}")
        before = None
    marked = place / MARKER
    if not marked.is_file() or marked.read_bytes() != manifests.marker(document["id"]):
        if os.path.lexists(marked):
            _put_aside(place, marked)
        manifests.write(marked, manifests.marker(document["id"]))
        said.append(f"written again: {marked}")
    earlier = {} if before is None else before["nights"]
    said += [
        s for entry in [*document["nights"].values(), *earlier.values()] if (s := _owned(place, entry, document["id"]))
    ]
    nights: Json = {}
    for night, entry in document["nights"].items():
        kept = _sound(place, entry)
        if kept is None and night in earlier and (kept := _sound(place, earlier[night])) is not None:
            said.append(f"{night}: damaged; it is as it was before it was amended, give the later inputs again")
        elif kept is None:
            said.append(f"{night}: its record or report is damaged; the night is set aside, give its inputs again")
        elif kept is not entry:
            folder = place / "nights" / entry["folder"]
            to = _put_aside(place, folder / "audit", f"{folder.name}.audit")
            said.append(f"{night}: its sums are damaged; figures and report stay, and it is closed. Set aside: {to}")
        if kept is not None:
            nights[night] = kept
    if not said and document is current and not any(manifests.unsound(place, entry) for entry in earlier.values()):
        return []
    mended = document | {"nights": nights}
    manifests.write(place / MANIFEST, manifests.dumped(mended))
    manifests.write(place / PREVIOUS, manifests.dumped(mended))
    return [*said, *_unnamed(place, mended)]


def _owned(place: Path, entry: Json, id: str) -> str | None:
    """Write the mark of a night's folder again where it is the one that is damaged."""
    mark = place / "nights" / entry["folder"] / OWNER
    if not mark.parent.is_dir() or mark.parent.is_symlink():
        return None
    if mark.is_file() and not mark.is_symlink() and mark.read_bytes() == manifests.owner(id):
        return None
    if os.path.lexists(mark):
        _put_aside(place, mark)
    manifests.write(mark, manifests.owner(id))
    return f"written again: {mark}"


def _sound(place: Path, entry: Json) -> Json | None:
    """The entry of a night as far as it is sound: all of it, or without its sums; None where it cannot be kept."""
    broken = {str(file.relative_to(place / "nights" / entry["folder"])) for file, _ in manifests.unsound(place, entry)}
    if not broken:
        return entry
    if any(not name.startswith("audit/") for name in broken):
        return None
    return entry | {"files": {n: d for n, d in entry["files"].items() if not n.startswith("audit/")}}


def _unnamed(place: Path, manifest: Json) -> list[str]:
    """Folders of nights that the manifest does not name are put aside, where a run would sweep them."""
    named = {entry["folder"] for entry in manifest["nights"].values()}
    top = place / "nights"
    found = []
    for folder in sorted(top.iterdir()) if top.is_dir() else ():
        if folder.name not in named and ours(folder, manifest["id"]):
            found.append(f"set aside: {_put_aside(place, folder)}")
    return found


def _put_aside(place: Path, what: Path, name: str = "") -> Path:
    """Move a file or folder of the state to where nothing is read or removed; where it is now."""
    aside = place / ASIDE
    aside.mkdir(mode=0o700, exist_ok=True)
    name = name or what.name
    names = (f"{name}.{i}" if i else name for i in range(10_000))
    target = next(aside / free for free in names if not os.path.lexists(aside / free))
    os.rename(what, target)
    return target

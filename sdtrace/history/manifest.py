"""The manifest of a state folder: which nights there are, and the checksum of every file of theirs and of itself.

    state/sdtrace-state.json      the marker: whose folder this is, and its id
    state/manifest.json           format, id, nights with the checksum of every file, acknowledgements, own checksum
    state/manifest.previous.json  the one before it; what it names is kept, too

A manifest is believed where its checksum is right and every name in it is one that this program gives: no path leads out
of the folder. Nothing is removed on the word of any other.
"""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from sdtrace import atomic
from sdtrace.errors import StateError
from sdtrace.history import clock
from sdtrace.schema.json_values import Json

MANIFEST, PREVIOUS, MARKER, LOCK = "manifest.json", "manifest.previous.json", "sdtrace-state.json", "lock"
#: Where `recover` puts what is damaged; nobody reads or removes anything there.
ASIDE = "set-aside"
#: In the folder of a night: the id of the state that it belongs to.
OWNER = "state-id"
#: The first format whose manifests have a checksum.
CHECKED = 2

FOLDER = re.compile(r"(\d{4}-\d\d-\d\d)\.[0-9a-f]{8}")
FILE = re.compile(
    rf"record\.json|report\.json\.zst|{OWNER}|\.{OWNER}\.[0-9a-f]{{8}}|audit/(?:audit\.json|[a-z_-]{{1,40}}\.parquet)"
)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{32}")
_CHECKSUM = re.compile(rb'"checksum": "([0-9a-f]{64})"')
_BLANK = b'"checksum": "' + b"0" * 64 + b'"'


class NewerError(StateError):
    """A manifest that a newer version wrote, and that is whole."""


Migrations = Mapping[int, Callable[[Json], Json]]


def dumped(manifest: Mapping[str, Any]) -> bytes:
    """The bytes of a manifest, with their checksum in them: SHA-256 of the same bytes with a checksum of zeros."""
    plain = {**manifest, "checksum": "0" * 64}
    text = orjson.dumps(plain, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    return text.replace(_BLANK, b'"checksum": "' + digest(text).encode() + b'"')


def marker(id: str) -> bytes:
    """The bytes of the marker of a state."""
    says = "The state of `sdtrace nightly`. It removes files here; keep no other files in this folder."
    return orjson.dumps({"tool": "sdtrace", "says": says, "id": id}, option=orjson.OPT_INDENT_2)


def owner(id: str) -> bytes:
    """The bytes of the mark in the folder of a night."""
    return f"{id}\n".encode()


def digest(data: bytes) -> str:
    """The checksum of a file."""
    return hashlib.sha256(data).hexdigest()


def write(file: Path, data: bytes) -> None:
    """Put a file of the state in its place, whole and on the disk."""
    with atomic.writing(file, inside=file.parent, mode=0o600, flush=True) as stream:
        stream.write(data)
    flush(file.parent)


def flush(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(file: Path, format: int, version: str, migrations: Migrations) -> Json:
    """A manifest, migrated to `format` from any that is CHECKED or later; an older one comes as it is.

    Raises StateError for one that is damaged or of a newer format.
    """
    try:
        if not file.is_file():
            raise ValueError("it is missing")
        data = file.read_bytes()
        manifest = orjson.loads(data)
        if not isinstance(manifest, dict) or manifest.get("tool") != "sdtrace":
            raise ValueError("no manifest of sdtrace")
        found = manifest["format"]
        if not isinstance(found, int) or isinstance(found, bool):
            raise ValueError("its format is no number")
    except OSError as error:
        raise damaged(file, error.strerror or str(error)) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(file, str(error)[:120]) from error
    whole = _whole(data)
    if found > format:
        doubt = "" if whole else "; its checksum is not right for this version, so it may also be damaged"
        raise (NewerError if whole else StateError)(
            f"{file}: state of format {found}, written by sdtrace {str(manifest.get('version'))[:40]}; this is {version} "
            f"(format {format}){doubt}",
            "use that version or a newer one; the state was left as it is",
        )
    if found < 1 or ((found >= CHECKED or "checksum" in manifest) and not whole):
        raise damaged(file, "its checksum is not that of its content")
    if found >= CHECKED:
        for step in range(found, format):
            manifest = migrations[step](manifest) | {"format": step + 1}
    if why := wrong(manifest):
        raise damaged(file, why)
    manifest.pop("checksum", None)
    return dict(manifest)


def _whole(data: bytes) -> bool:
    found = _CHECKSUM.findall(data)
    return len(found) == 1 and digest(_CHECKSUM.sub(_BLANK, data)) == found[0].decode()


def wrong(manifest: Mapping[str, Any]) -> str | None:
    """What a manifest holds that this program does not write; None where all of it is so."""
    nights, known = manifest.get("nights"), manifest.get("acknowledged")
    if not isinstance(nights, dict) or not isinstance(known, list):
        return "it has no nights"
    if manifest["format"] >= CHECKED and not _ID.fullmatch(str(manifest.get("id"))):
        return "it has no id"
    for night, entry in nights.items():
        if why := _wrong_night(night, entry):
            return why
    for one in known:
        if not isinstance(one, dict) or not all(isinstance(one.get(key), str) for key in ("alarm", "until")):
            return "an acknowledgement names no alarm"
    return None


def _wrong_night(night: str, entry: Any) -> str | None:
    try:
        clock.night(night)
    except ValueError:
        return f"{night!r:.40} is no night"
    folder, files = (entry.get("folder"), entry.get("files")) if isinstance(entry, dict) else (None, None)
    if not isinstance(folder, str) or not isinstance(files, dict):
        return f"the night {night} has no files"
    named = FOLDER.fullmatch(folder)
    if not named or named[1] != night:
        return f"the night {night} is in a folder of another name"
    if not {"record.json", "report.json.zst"} <= files.keys():
        return f"the night {night} has no record"
    if not all(FILE.fullmatch(name) and isinstance(d, str) and _DIGEST.fullmatch(d) for name, d in files.items()):
        return f"the night {night} names a file that is none of its own"
    return None


def unsound(place: Path, entry: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """Files of a night that are not what was written, each with the reason. `place` is the state folder."""
    folder = place / "nights" / str(entry["folder"])
    if folder.is_symlink() or (place / "nights").is_symlink():
        return [(folder, "a symlink stands where a folder was")]
    found = []
    for name, written in entry["files"].items():
        file = folder / name
        try:
            if file.is_symlink() or file.parent.is_symlink():
                found.append((file, "a symlink stands where a file was"))
            elif not file.is_file():
                found.append((file, "it is missing" if not file.exists() else "it is no plain file"))
            elif digest(file.read_bytes()) != written:
                found.append((file, "its content is not what was written"))
        except OSError as error:
            found.append((file, error.strerror or str(error)))
    return found


def damaged(file: Path, why: str) -> StateError:
    """A file of the state is not what was written."""
    return StateError(
        f"{file}: damaged ({why}); nothing was changed",
        "restore the file from a backup, or go on without what is damaged: sdtrace nightly --recover --state DIR",
    )

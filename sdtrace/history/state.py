"""The state folder: one folder a night, and a manifest whose replacement by rename is the only commit there is.

    state/manifest.json              format, nights with the hash of every file, acknowledgements
    state/nights/2026-11-24.1f0c.../  record.json, report.json.zst, and audit/ while the night is open
    state/lock                       held by flock while a run works

A run writes new folders beside the old ones, flushes them to disk, renames the new manifest over the old one, and
removes what the manifest no longer names. Killed at any point, it leaves the old state or the new one.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import zstandard

from sdtrace.audit.audit import Audit
from sdtrace.errors import OutputError, StateError, StateHeldError
from sdtrace.history import audit_store
from sdtrace.history.report_store import report_of, stored
from sdtrace.results.report import Report
from sdtrace.version import VERSION

FORMAT = 1
#: The latest nights keep their tally, so that late data can be added exactly; older ones keep figures and report.
OPEN = 5

#: How a manifest of format N becomes one of N + 1.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


@dataclass
class State:
    """An opened state folder; `manifest` is what is on disk. Only one process at a time has one."""

    folder: Path
    manifest: dict[str, Any]
    records_read: dict[str, dict[str, Any]] = field(default_factory=dict)

    def nights(self) -> list[str]:
        """Every night, oldest first."""
        return sorted(self.manifest["nights"])

    def records(self) -> list[dict[str, Any]]:
        """The record of every night, oldest first."""
        return [self.record(night) for night in self.nights()]

    def record(self, night: str) -> dict[str, Any]:
        """Figures, inputs and deployments of a night. Raises StateError where the file is not what was written."""
        if night not in self.records_read:
            self.records_read[night] = orjson.loads(self._bytes(night, "record.json"))
        return self.records_read[night]

    def report(self, night: str) -> Report:
        """The report of a night as it was made, without its history section."""
        packed = self._bytes(night, "report.json.zst")
        return report_of(zstandard.ZstdDecompressor().decompress(packed))

    def audit(self, night: str) -> Audit | None:
        """The sums of a night; None once it is closed."""
        names = [name for name in self._entry(night)["files"] if name.startswith("audit/")]
        if not names:
            return None
        for name in names:
            self._bytes(night, name)
        return audit_store.load(self._place(night) / "audit")

    def commit(self, nights: Mapping[str, "Night"], **keys: Any) -> None:
        """Add or replace nights, and top-level keys of the manifest, in one step."""
        manifest = self.manifest | keys | {"nights": dict(self.manifest["nights"]), "version": VERSION}
        for night, made in nights.items():
            manifest["nights"][night] = self._written(night, made)
        for night in sorted(manifest["nights"])[:-OPEN]:
            entry = manifest["nights"][night]
            kept = {name: digest for name, digest in entry["files"].items() if not name.startswith("audit/")}
            manifest["nights"][night] = entry | {"files": kept}
        self._replace(manifest)
        for night in nights:
            self.records_read.pop(night, None)
        self._sweep()

    def retain(self, days: int) -> list[str]:
        """Keep the last `days` days up to the latest night; returns which nights are forgotten."""
        if not self.nights():
            return []
        last = date.fromisoformat(self.nights()[-1])
        old = [n for n in self.nights() if date.fromisoformat(n) <= last - timedelta(days=days)]
        if old:
            kept = {n: e for n, e in self.manifest["nights"].items() if n not in old}
            self._replace(self.manifest | {"nights": kept})
            self._sweep()
        return old

    def _entry(self, night: str) -> dict[str, Any]:
        entry: dict[str, Any] = self.manifest["nights"][night]
        return entry

    def _place(self, night: str) -> Path:
        return self.folder / "nights" / str(self._entry(night)["folder"])

    def _bytes(self, night: str, name: str) -> bytes:
        file = self._place(night) / name
        try:
            data = file.read_bytes()
        except OSError as error:
            raise _damaged(file, error.strerror or str(error)) from error
        if hashlib.sha256(data).hexdigest() != self._entry(night)["files"].get(name):
            raise _damaged(file, "its content is not what was written")
        return data

    def _written(self, night: str, made: "Night") -> dict[str, Any]:
        name = f"{night}.{secrets.token_hex(4)}"
        place = self.folder / "nights" / name
        place.mkdir(parents=True)
        (place / "record.json").write_bytes(orjson.dumps(made.record, option=orjson.OPT_NON_STR_KEYS))
        packed = zstandard.ZstdCompressor(level=12).compress(stored(made.report))
        (place / "report.json.zst").write_bytes(packed)
        (place / "audit").mkdir()
        audit_store.save(made.audit, place / "audit")
        files = [f for f in sorted(place.rglob("*")) if f.is_file()]
        digests = {str(f.relative_to(place)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
        for f in [*files, place / "audit", place, place.parent]:
            _flush(f)
        return {"folder": name, "files": digests}

    def _replace(self, manifest: dict[str, Any]) -> None:
        _manifest_to(self.folder, manifest)
        self.manifest = manifest

    def _sweep(self) -> None:
        """Remove what no manifest names: leftovers of a run that was killed, audits of closed nights."""
        top = self.folder / "nights"
        named = {entry["folder"]: entry for entry in self.manifest["nights"].values()}
        for place in top.iterdir() if top.is_dir() else ():
            if place.name not in named:
                shutil.rmtree(place, ignore_errors=True)
            elif not any(name.startswith("audit/") for name in named[place.name]["files"]):
                shutil.rmtree(place / "audit", ignore_errors=True)
        for half in self.folder.glob(".manifest.*"):
            half.unlink(missing_ok=True)


@dataclass(frozen=True)
class Night:
    """What a night leaves in the state."""

    record: dict[str, Any]
    report: Report
    audit: Audit


@contextmanager
def opened(folder: str | Path, *, create: bool = True) -> Iterator[State]:
    """The state in `folder`, held until the block ends.

    Raises StateHeldError where another run holds it, StateError where it is none, damaged, or of a newer version.
    """
    place = Path(folder)
    if not create and not (place / "manifest.json").is_file():
        raise StateError(f"{folder}: no state of sdtrace", "sdtrace nightly INPUT --state DIR makes one")
    try:
        place.mkdir(parents=True, exist_ok=True)
        handle = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror or error}", "name a folder that may be written to") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StateHeldError(
                f"{folder}: another run holds this state", "wait for it to end; a killed run lets go by itself"
            ) from error
        state = State(place, _manifest(place))
        state._sweep()
        yield state
    finally:
        os.close(handle)


def _manifest(place: Path) -> dict[str, Any]:
    file = place / "manifest.json"
    if not file.is_file():
        if any(child.name not in ("lock", "nights") and not child.name.startswith(".") for child in place.iterdir()):
            raise StateError(f"{place}: holds other files and no state", "give a folder of its own with --state")
        return {"tool": "sdtrace", "format": FORMAT, "version": VERSION, "nights": {}, "acknowledged": []}
    try:
        manifest: dict[str, Any] = orjson.loads(file.read_bytes())
        version = int(manifest["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(file, str(error)[:120]) from error
    if version > FORMAT:
        raise StateError(
            f"{place}: state of format {version}, written by sdtrace {manifest.get('version')}; this is {VERSION} (format {FORMAT})",
            "use that version or a newer one; the state was left as it is",
        )
    for step in range(version, FORMAT):
        manifest = MIGRATIONS[step](manifest) | {"format": step + 1}
    if version < FORMAT:
        _manifest_to(place, manifest)
    return manifest


def _manifest_to(place: Path, manifest: dict[str, Any]) -> None:
    half = place / f".manifest.{os.getpid()}"
    half.write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
    _flush(half)
    os.replace(half, place / "manifest.json")
    _flush(place)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _damaged(file: Path, why: str) -> StateError:
    return StateError(f"{file}: damaged ({why})", "restore the state from a backup, or begin a new one with --state")

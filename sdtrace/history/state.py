"""The state folder: one folder a night, and a manifest whose replacement by rename is the only commit there is.

    state/nights/2026-11-24.1f0c.../  state-id, record.json, report.json.zst, and audit/ while the night is open
    state/lock                        held by flock while a run works

and what `manifest` describes. A run writes new folders beside the old ones, flushes them to disk, keeps the manifest as
the previous one, renames the new one over it, and removes what neither names. Killed at any point, it leaves the old state
or the new one. What is removed is proved ours: it has the name of such a folder, the state's id in it, and only files that
are named here. Every file is held against its checksum before anything else is done.
"""

import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import zstandard
from polars.exceptions import PolarsError

from sdtrace.audit.audit import Audit
from sdtrace.errors import OutputError, StateError
from sdtrace.history import adopt, audit_store, clock
from sdtrace.history import manifest as manifests
from sdtrace.history.folder import held, kind, ours, remove
from sdtrace.history.manifest import LOCK, MANIFEST, MARKER, OWNER, PREVIOUS, damaged
from sdtrace.history.manifest import flush as _flush
from sdtrace.history.report_store import report_of, stored
from sdtrace.history.services import kept_parts
from sdtrace.results.report import Report
from sdtrace.schema.json_values import Json
from sdtrace.version import VERSION

FORMAT = 2
#: The latest nights keep their tally, so that late data can be added exactly; older ones keep figures and report.
OPEN = 5

#: How a manifest of format N becomes one of N + 1, from the first with a checksum on; `adopt` takes over the one before.
MIGRATIONS: dict[int, Callable[[Json], Json]] = {}

_HALF = re.compile(rf"\.({MANIFEST}|{PREVIOUS}|{MARKER})\.[0-9a-f]{{8}}".replace(".json", r"\.json"))


@dataclass
class State:
    """An opened state folder; `manifest` is what is on disk, `previous` the one before it. Only one process at a time has
    one."""

    folder: Path
    manifest: Json
    previous: Json
    records_read: dict[str, Json] = field(default_factory=dict)

    def nights(self) -> list[str]:
        """Every night that is not ahead of the clock, oldest first."""
        return [night for night in self.every() if clock.night(night) <= clock.last_night()]

    def ahead(self) -> list[str]:
        """Nights that are ahead of the clock by more than a day: kept, and no part of the history."""
        return [night for night in self.every() if clock.night(night) > clock.last_night()]

    def every(self) -> list[str]:
        """Every night that is kept."""
        return sorted(self.manifest["nights"])

    def records(self) -> list[Json]:
        """The record of every night of the history, oldest first."""
        return [self.record(night) for night in self.nights()]

    def record(self, night: str) -> Json:
        """Figures, inputs and deployments of a night. Raises StateError where the file is not what was written."""
        if night not in self.records_read:
            self.records_read[night] = kept_parts(orjson.loads(self._bytes(night, "record.json")))
        return self.records_read[night]

    def report(self, night: str) -> Report:
        """The report of a night as it was made, without its history section."""
        packed = self._bytes(night, "report.json.zst")
        return report_of(zstandard.ZstdDecompressor().decompress(packed))

    def audit(self, night: str) -> Audit | None:
        """The sums of a night; None once it is closed."""
        folder = self._audit(night)
        return None if folder is None else audit_store.load(folder)

    def closed(self, night: str) -> str | None:
        """Why nothing can be added to a night; None where it can."""
        folder = self._audit(night)
        if folder is None:
            return "its night is closed"
        return "an older version made a sample of its night" if audit_store.sampled_otherwise(folder) else None

    def commit(self, nights: Mapping[str, "Night"], **keys: Any) -> None:
        """Add or replace nights, and top-level keys of the manifest, in one step."""
        manifest = self.manifest | keys | {"nights": dict(self.manifest["nights"]), "version": VERSION}
        for night, made in nights.items():
            manifest["nights"][night] = self._written(night, made)
        believed = [night for night in sorted(manifest["nights"]) if clock.night(night) <= clock.last_night()]
        for night in believed[:-OPEN]:
            entry = manifest["nights"][night]
            kept = {name: digest for name, digest in entry["files"].items() if not name.startswith("audit/")}
            manifest["nights"][night] = entry | {"files": kept}
        self._replace(manifest, self.manifest)
        for night in nights:
            self.records_read.pop(night, None)
        self._sweep()

    def retain(self, days: int) -> list[str]:
        """Keep the last `days` days up to the latest night of the history; returns which nights are forgotten."""
        if not self.nights():
            return []
        first = clock.night(self.nights()[-1]).toordinal() - days
        old = [night for night in self.nights() if clock.night(night).toordinal() <= first]
        if old:
            self._replace(_without(self.manifest, old), _without(self.previous, old))
            self._sweep()
        return old

    def _entry(self, night: str) -> Json:
        entry: Json = self.manifest["nights"][night]
        return entry

    def _place(self, night: str) -> Path:
        return self.folder / "nights" / str(self._entry(night)["folder"])

    def _audit(self, night: str) -> Path | None:
        names = [name for name in self._entry(night)["files"] if name.startswith("audit/")]
        for name in names:
            self._bytes(night, name)
        return self._place(night) / "audit" if names else None

    def _bytes(self, night: str, name: str) -> bytes:
        file = self._place(night) / name
        try:
            data = file.read_bytes()
        except OSError as error:
            raise damaged(file, error.strerror or str(error)) from error
        if manifests.digest(data) != self._entry(night)["files"].get(name):
            raise damaged(file, "its content is not what was written")
        return data

    def _written(self, night: str, made: "Night") -> Json:
        name = f"{night}.{secrets.token_hex(4)}"
        place = self.folder / "nights" / name
        place.parent.mkdir(mode=0o700, exist_ok=True)
        place.mkdir(mode=0o700)
        try:
            (place / OWNER).write_bytes(manifests.owner(self.manifest["id"]))
            (place / "record.json").write_bytes(orjson.dumps(made.record, option=orjson.OPT_NON_STR_KEYS))
            packed = zstandard.ZstdCompressor(level=12).compress(stored(made.report))
            (place / "report.json.zst").write_bytes(packed)
            (place / "audit").mkdir(mode=0o700)
            audit_store.save(made.audit, place / "audit")
            files = [f for f in sorted(place.rglob("*")) if f.is_file()]
            digests = {str(f.relative_to(place)): manifests.digest(f.read_bytes()) for f in files}
            for f in [*files, place / "audit", place, place.parent, self.folder]:
                _flush(f)
        except BaseException as error:
            remove(place, frozenset())
            if isinstance(error, OSError | PolarsError):
                why = getattr(error, "strerror", None) or str(error)[:160]
                raise OutputError(f"{place}: {why}", "free some space; the state is as it was") from error
            raise
        return {"folder": name, "files": digests}

    def _replace(self, manifest: Json, previous: Json) -> None:
        """`previous` is kept beside the new manifest, which counts from the moment that it has its name."""
        manifests.write(self.folder / PREVIOUS, manifests.dumped(previous))
        self.previous = previous
        _manifest_to(self.folder, manifest)
        self.manifest = manifest

    def _sweep(self) -> None:
        """Remove what neither manifest names: leftovers of a run that was killed, amended nights, audits of closed ones."""
        named: dict[str, set[str]] = {}
        for manifest in (self.manifest, self.previous):
            for entry in manifest["nights"].values():
                named.setdefault(entry["folder"], set()).update(entry["files"])
        top = self.folder / "nights"
        for place in sorted(top.iterdir()) if top.is_dir() and not top.is_symlink() else ():
            if ours(place, self.manifest["id"]):
                remove(place, frozenset(named.get(place.name, ())))
        for half in self.folder.iterdir():
            if _HALF.fullmatch(half.name) and half.is_file():
                half.unlink(missing_ok=True)


@dataclass(frozen=True)
class Night:
    """What a night leaves in the state."""

    record: Json
    report: Report
    audit: Audit


@contextmanager
def opened(folder: str | Path, *, create: bool = True) -> Iterator[State]:
    """The state in `folder`, held until the block ends.

    Raises StateHeldError where another run holds it, StateError where it is none, damaged, or of a newer version; then
    nothing in the folder was changed.
    """
    place = Path(folder)
    if not create and kind(place) == "new":
        raise StateError(f"{folder}: no state of sdtrace", "sdtrace nightly INPUT --state DIR makes one")
    if kind(place) == "state" and not (place / LOCK).exists():
        manifests.read(place / MANIFEST, FORMAT, VERSION, MIGRATIONS)  # not even a lock in a folder that is not ours
    with held(place):
        if kind(place) == "new":
            _begun(place)
        state = _read(place)
        state._sweep()
        yield state


def _begun(place: Path) -> None:
    """A new state without a night: the marker first, so that a killed run has left nothing or a folder of ours."""
    id = secrets.token_hex(16)
    manifests.write(place / MARKER, manifests.marker(id))
    _manifest_to(
        place, {"tool": "sdtrace", "format": FORMAT, "version": VERSION, "id": id, "nights": {}, "acknowledged": []}
    )


def _read(place: Path) -> State:
    """The state as it is on disk, every file of it as it was written; one of an older format is brought to this one."""
    file = place / MANIFEST
    manifest = manifests.read(file, FORMAT, VERSION, MIGRATIONS)
    if manifest["format"] < manifests.CHECKED:
        manifest = adopt.taken_over(place, manifest) | {"format": FORMAT, "version": VERSION}
        _manifest_to(place, manifest)
    previous = manifest
    marked = place / MARKER
    try:
        right = marked.is_file() and marked.read_bytes() == manifests.marker(manifest["id"])
    except OSError as error:
        raise damaged(marked, error.strerror or str(error)) from error
    if not right:
        raise damaged(marked, "it does not name this state")
    if os.path.lexists(place / PREVIOUS):
        previous = manifests.read(place / PREVIOUS, FORMAT, VERSION, MIGRATIONS)
        if previous.get("id") != manifest["id"]:
            raise damaged(place / PREVIOUS, "it is of another state")
    for entry in [*manifest["nights"].values(), *previous["nights"].values()]:
        for broken, why in manifests.unsound(place, entry):
            raise damaged(broken, why)
    if orjson.loads(file.read_bytes())["format"] != FORMAT:
        _manifest_to(place, manifest)
    return State(place, manifest, previous)


def _manifest_to(place: Path, manifest: Json) -> None:
    manifests.write(place / MANIFEST, manifests.dumped(manifest))


def _without(manifest: Json, nights: list[str]) -> Json:
    return manifest | {"nights": {n: entry for n, entry in manifest["nights"].items() if n not in nights}}

"""From spans of one process to its steps: where a step begins and ends, and how much of it each part covers.

A step is a span that says so; else there is one for each verification (each draft, each sampling, where there is none). It begins
there, or, where drafts come before, with its first draft, and reaches to the next one; the last one ends with the last span. Stretches
in which nothing ran are left out.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sdtrace.readers.profiler.intervals import NONE, outermost, union, within
from sdtrace.readers.profiler.names import Role
from sdtrace.schema.arrays import Floats

PARTS: tuple[Role, ...] = ("draft", "verify", "sample")
_OF_PART: dict[Role, Role] = {
    "draft": "draft",
    "draft+": "draft",
    "verify": "verify",
    "verify+": "verify",
    "sample": "sample",
}
#: A step of so many times the usual length holds a stretch in which nothing ran.
_PAUSE = 10.0
_US = 1e3

_Track = tuple[str, bool]


@dataclass
class Spans:
    """Spans of a process: (thread or stream, on a device or not) -> role -> begins and ends in turn. `module`: a span of a model's
    forward pass by the name of its class, which tells whose it is only beside spans of a drafter."""

    tracks: dict[_Track, dict[Role, "array[float]"]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(_empty))
    )
    modules: dict[_Track, "array[float]"] = field(default_factory=lambda: defaultdict(_empty))
    kernels: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, role: Role, thread: str, begin: float, end: float, *, device: bool, module: bool) -> None:
        """Book a span."""
        track = self.modules[thread, device] if module else self.tracks[thread, device][role]
        track.extend((begin, end))

    def busy(self, begin: float, end: float) -> None:
        """Book a kernel."""
        self.kernels.extend((begin, end))


@dataclass
class Steps:
    """Rows of windows (their beginning in microseconds), spans that were put aside, and what to say: (what, count, advice)."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    dropped: int = 0
    notes: list[tuple[str, int, str]] = field(default_factory=list)


def _empty() -> "array[float]":
    return array("d")


def _pairs(values: "array[float]") -> Floats:
    return np.frombuffer(values, dtype=np.float64).reshape(-1, 2) if len(values) else NONE


def steps(spans: Spans) -> Steps:
    """The steps of a process."""
    found = Steps()
    _modules(spans, found)
    device = _on_device(spans)
    lane = {track: roles for track, roles in spans.tracks.items() if track[1] == device}
    aside = [roles for track, roles in spans.tracks.items() if track not in lane]
    found.dropped += sum(len(v) // 2 for roles in aside for role, v in roles.items() if role != "graph")
    parts, first, nested = _parts(lane.values())
    found.dropped += nested
    everything = union(np.concatenate([NONE, *parts.values()]))
    windows = _windows([_pairs(r["step"]) for r in lane.values() if "step" in r], first, everything, found)
    if not len(windows):
        found.dropped += sum(len(v) // 2 for roles in lane.values() for v in roles.values()) - nested
        return found
    graphs = union(np.concatenate([NONE, *(_pairs(r["graph"]) for r in spans.tracks.values() if "graph" in r)]))
    kernels = union(_pairs(spans.kernels))
    _say(found, parts, windows, graphs, device=device, kernels=len(kernels))
    found.rows = _rows(windows, parts, everything, graphs, kernels)
    return found


def _on_device(spans: Spans) -> bool:
    """Whether the device's spans are those that count: of whole parts, or the only ones. For a kernel that is known by its name the
    host's spans are not left out."""
    seen = {
        on: {_OF_PART[r] for (_, d), roles in spans.tracks.items() if d == on for r in roles if r in _OF_PART}
        for on in (True, False)
    }
    return bool(seen[True] - {"sample"}) or (bool(seen[True]) and not seen[False])


def _modules(spans: Spans, steps: Steps) -> None:
    """Forward passes by class count where a drafter of the same library is seen; elsewhere a drafter may be among them."""
    for track, values in spans.modules.items():
        if len(spans.tracks[track].get("draft", ())):
            spans.tracks[track]["verify"].extend(values)
        else:
            steps.dropped += len(values) // 2


def _parts(lane: Iterable[dict[Role, "array[float]"]]) -> tuple[dict[Role, Floats], dict[Role, Floats], int]:
    """Each part as a union over threads, those of its spans that may begin a step, and how many spans belong to one around them."""
    kept: dict[Role, list[Floats]] = {role: [NONE] for role in PARTS}
    first: dict[Role, list[Floats]] = {role: [NONE] for role in PARTS}
    nested = 0
    for roles in lane:
        mine = [(role, part, _pairs(roles[role])) for role, part in _OF_PART.items() if role in roles]
        if not mine:
            continue
        whole = np.concatenate([spans for _, _, spans in mine])
        owner = np.concatenate([np.full(len(spans), PARTS.index(part), dtype=np.float64) for _, part, spans in mine])
        stands = outermost(whole, owner)
        nested += int(np.count_nonzero(~stands))
        at = 0
        for role, part, spans in mine:
            alone = spans[stands[at : at + len(spans)]]
            at += len(spans)
            kept[part].append(alone)
            if role == part:
                first[part].append(alone)
    joined = [{part: union(np.concatenate(found)) for part, found in spans.items()} for spans in (kept, first)]
    return joined[0], joined[1], nested


def _windows(said: list[Floats], parts: dict[Role, Floats], everything: Floats, steps: Steps) -> Floats:
    """The steps as (n, 2). Said ones count once where several threads say the same one."""
    if said and sum(map(len, said)):
        told = np.unique(np.concatenate(said), axis=0)
        return told[told[:, 1] > told[:, 0]]
    if not any(map(len, parts.values())):
        return NONE
    begins = _begins(parts, float(everything[0, 0]))
    ends = np.append(begins[1:], everything[-1, 1])
    windows = np.stack([begins, ends], axis=1)
    lasts = ends - begins
    usual = float(np.median(lasts))
    # only what no part covers is a pause: a prefill of minutes is work
    idle = lasts - within(everything, windows)
    kept = idle <= _PAUSE * usual
    if not kept.all():
        gone = int(np.count_nonzero(~kept))
        steps.notes.append(("steps with a stretch in which nothing ran", gone, "they are left out of the figures"))
        steps.dropped += sum(int(np.count_nonzero(_inside(spans, windows[~kept]))) for spans in parts.values())
    return windows[kept & (lasts > 0)]


def _begins(parts: dict[Role, Floats], start: float) -> Floats:
    """Where steps begin: one a verification. Where drafts come first, with the first draft behind the verification before."""
    drafts, passes = parts["draft"], next((parts[p] for p in ("verify", "draft", "sample") if len(parts[p])), NONE)
    begins = passes[:, 0].copy()
    if len(drafts) and len(passes) and drafts[0, 0] < begins[0]:
        index = np.searchsorted(drafts[:, 0], passes[:-1, 1])
        known = np.append(drafts[:, 0], np.inf)[index]
        begins[1:] = np.minimum(known, begins[1:])
    begins[:1] = start
    return begins


def _inside(spans: Floats, windows: Floats) -> Any:
    return np.searchsorted(windows[:, 0], spans[:, 0], side="right") > np.searchsorted(
        windows[:, 1], spans[:, 0], side="right"
    )


def _rows(
    windows: Floats, parts: dict[Role, Floats], everything: Floats, graphs: Floats, kernels: Floats
) -> list[dict[str, Any]]:
    """A window a row. `hidden_ms`: time of parts that ran beside each other; `device_ms`: a kernel ran."""
    spent = {role: within(spans, windows) / _US if len(spans) else None for role, spans in parts.items()}
    added = sum((v for v in spent.values() if v is not None), np.zeros(len(windows)))
    hidden = (added - within(everything, windows) / _US).round(6).clip(0.0)  # to a nanosecond
    launched = within(graphs, windows) > 0 if len(graphs) else None
    device = within(kernels, windows) / _US if len(kernels) else None
    made = []
    for i, (begin, end) in enumerate(windows.tolist()):
        said: dict[str, Any] = {"hidden_ms": float(hidden[i])}
        if launched is not None:
            said["graph"] = bool(launched[i])
        if device is not None:
            said["device_ms"] = float(device[i])
        row: dict[str, Any] = {
            "begin": begin,
            "busy_ms": (end - begin) / _US,
            "span_s": (end - begin) / 1e6,
            "said": said,
        }
        made.append(row | {f"{role}_ms": float(v[i]) for role, v in spent.items() if v is not None})
    return made


def _say(
    steps: Steps, parts: dict[Role, Floats], windows: Floats, graphs: Floats, *, device: bool, kernels: int
) -> None:
    """What of the times is not what it seems."""
    if kernels and not device:
        what = "spans of the host only, while kernels ran on a device: a part is the time of launching it"
        steps.notes.append(
            (what, len(windows), "export the profile with the annotations of the device (CUDA activity)")
        )
    if not len(parts["draft"]):
        steps.notes.append(("no span of a draft", len(windows), "its time is unattributed, or nothing was drafted"))
    if len(graphs):
        inside = int(np.count_nonzero(within(graphs, windows) > 0))
        steps.notes.append(
            ("steps that replay a captured graph: it hides its kernels", inside, "expected; the rest ran eagerly")
        )

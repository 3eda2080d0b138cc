"""What an input is: its reader, engine, release, time range, what can be judged from it, what to log to judge more."""

from collections.abc import Sequence

import polars as pl

from sdtrace.readers import Opened, advice, open_one, refused
from sdtrace.readers.io.paths import expand
from sdtrace.schema.counters import no_windows
from sdtrace.schema.json_values import Json
from sdtrace.schema.trace import Event, empty

_JUDGED = (
    ("decisions, one by one", ("target_probs", "uniforms", "num_accepted"), "log p, q and r of every drafted token"),
    ("decisions at temperature 0", ("target_argmax_ids", "num_accepted"), "log the target's argmax at every position"),
    ("near-ties at temperature 0", ("target_top2_gap",), "log the gap between the two best logits"),
    ("recovered tokens", ("last_target_prob", "last_draft_prob"), "log p and q of the last appended token"),
    ("token accounting", ("output_token_ids",), "log the ids that each step appended"),
    ("a degenerate target", ("target_entropy",), "log the entropy of p"),
    ("times", ("step_ms",), "log step_ms, draft_ms and verify_ms"),
)


def detect(paths: Sequence[str], format: str | None = None, *, why: bool = False) -> list[Json]:
    """For every input: which reader, which engine, what can be judged and what to log to judge more.

    `why` adds what each other reader missed first. A log of several engines has one entry an engine under `engines`.
    """
    found = []
    for path in expand(list(paths)):
        opened = open_one(path, format, named=path in paths)
        told: Json = {"path": path, "format": opened.format, **_told(opened)}
        if why:
            told["refused"] = {n: w for n, w in refused(opened).items() if w is not None}
        found.append(told)
    return found


def _told(opened: Opened) -> Json:
    """What the first steps of an input hold, or all of its windows."""
    told: Json = {"engine": None, "version": None, "rule": None, "from": None, "to": None}
    steps, windows, events = empty("step"), [no_windows()], []
    if opened.format == "unrecognised" and opened.trouble is None:
        return told | {"judged": [], "log": []}
    for batch in opened.batches():
        if batch.failed:
            told["problem"] = batch.losses[-1].what
        for run in batch.runs.head(1).iter_rows(named=True):
            told |= {"engine": run["engine"], "version": run["engine_version"], "rule": run["rule"]}
        events += batch.events
        if batch.windows is not None:
            windows.append(batch.windows)
        if batch.steps.height:
            steps = batch.steps
            break
    if not steps.height and (_engine_of(opened) or events or any(w.height for w in windows)):
        return told | _counted(opened, pl.concat(windows), events)
    told["from"], told["to"] = steps["at"].min(), steps["at"].max()
    holds = {name for name in steps.columns if steps[name].null_count() < steps.height}
    judged = [what for what, needs, _ in _JUDGED if holds.issuperset(needs)]
    return told | {"judged": judged, "log": [log for what, needs, log in _JUDGED if not holds.issuperset(needs)]}


def _counted(opened: Opened, windows: pl.DataFrame, events: Sequence[Event]) -> Json:
    """Of counts, by engine; of several engines together and apart."""
    engines = list(dict.fromkeys([*windows["engine"].drop_nulls().to_list(), *(e.engine for e in events)]))
    if not engines:
        engine = _engine_of(opened)
        engines = [engine] if engine else []
    apart = [_engine(name, windows.filter(pl.col("engine") == name), events) for name in engines]
    if len(apart) == 1:
        return apart[0]
    whole = _engine(" and ".join(engines) or None, windows, events)
    return whole | {"version": None, "log": [], "engines": apart}


def _engine_of(opened: Opened) -> str | None:
    return None if opened.reader is None else opened.reader.engine


def _engine(engine: str | None, windows: pl.DataFrame, events: Sequence[Event]) -> Json:
    """Version (as announced, else the releases whose words these are), time range, and what the windows can tell."""
    version = next((e.value for e in events if e.kind == "version" and e.engine == engine), None)
    of_requests = windows.filter(pl.col("surface") != "statistics")
    named = of_requests if of_requests["family"].count() else windows
    families = named["family"].drop_nulls().unique(maintain_order=True).to_list()
    return {
        "engine": engine,
        "version": version or "; ".join(families[:4]) or None,
        "from": windows["at"].min(),
        "to": windows["at"].max(),
        "judged": advice.judged(windows),
        "log": advice.to_log(engine, windows, version),
    }

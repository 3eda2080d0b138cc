"""An audit on disk: the frames of its tally as Parquet, the rest as JSON; no token id, no text.

What comes back adds up with other audits as the original would. Samples are saved smaller than they are in memory, by
the same hash, so that they stay samples.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from sdtrace.audit import parts
from sdtrace.audit.audit import Audit, gathered
from sdtrace.history.older_rows import with_kinds, with_settings
from sdtrace.history.services import kept_config, without_credentials
from sdtrace.readers.inputs import Input
from sdtrace.responses import store
from sdtrace.responses.texts import merged
from sdtrace.results.check import Counts
from sdtrace.schema.counters import conformed
from sdtrace.schema.json_values import Json
from sdtrace.schema.keys import HASHING, keyed, request_hash
from sdtrace.schema.run import Run, run_of
from sdtrace.schema.trace import Doubt, Event, Loss, Notice
from sdtrace.tally.tally import REQUESTS, Tally, merge
from sdtrace.writers.pseudonyms import pseudonyms, without_stop_ids

#: What of a night's samples is kept: steps, and uniforms (values that are equal stay or go together).
STEPS, UNIFORMS = 600, 8_192
#: Witness keys that hold token ids.
TOKENS = frozenset({"token", "y", "x_rejected", "argmax", "argmax_y"})


def save(audit: Audit, folder: Path) -> None:
    """Write an audit into an existing folder."""
    t = audit.tally
    for name, frame in t.sums.items():
        _write(frame, folder / f"sums-{name}.parquet")
    uniforms, shift = _thinned(t)
    heads = audit.requests
    if "requests" in t.sums:
        heads = heads.join(t.sums["requests"], on=["run_id", "request_id"], how="semi", maintain_order="left")
    for name, table in (
        ("steps", _fewer(t.steps)),
        ("uniforms", uniforms),
        ("requests", without_stop_ids(heads)),
        ("windows", audit.windows),
        ("parts", _plain_paths(audit.parts)),
    ):
        if table is not None:
            _write(table, folder / f"{name}.parquet")
    document = {
        "hashing": HASHING,
        "width": t.width,
        "ceiling": t.ceiling,
        "uniforms_shift": shift,
        "uniforms_seen": t.uniforms_seen,
        "witnesses": [
            {"run_id": r, "law": law, "code": code, "rows": [_untold(row) for row in rows]}
            for (r, law, code), rows in t.witnesses.items()
        ],
        "inputs": [{k: v for k, v in asdict(i).items() if k != "doubt" or v} for i in audit.inputs],
        "runs": [run.row() | {"config": json.dumps(kept_config(run))} for run in audit.runs.values()],
        "unknown": audit.unknown_requests,
        "events": [asdict(e) for e in audit.events],
        "judged": {code: asdict(counts) for code, counts in audit.judged.items()},
    }
    (folder / "audit.json").write_bytes(orjson.dumps(document))
    store.save(audit.texts, folder)


def load(folder: Path) -> Audit:
    """Read an audit back. Raises OSError and polars errors on files that are missing or damaged."""
    document = orjson.loads((folder / "audit.json").read_bytes())
    sums = {f.stem.removeprefix("sums-"): pl.read_parquet(f) for f in sorted(folder.glob("sums-*.parquet"))}
    steps, drawn = _read(folder / "steps.parquet"), _read(folder / "uniforms.parquet")
    if _hashing(document) == 0:
        sums, steps, drawn = _hashed_anew(sums, steps, drawn)
    sums, drawn = _with_later_columns(sums, drawn)
    tally = Tally(
        sums,
        steps,
        drawn,
        document["uniforms_shift"],
        document["uniforms_seen"],
        {(w["run_id"], w["law"], w["code"]): w["rows"] for w in document["witnesses"]},
        document["width"],
        document["ceiling"],
    )
    return Audit(
        tally,
        [_input(i) for i in document["inputs"]],
        {run["run_id"]: run_of(run) for run in document["runs"]},
        pl.read_parquet(folder / "requests.parquet"),
        document["unknown"],
        conformed(pl.read_parquet(folder / "windows.parquet")),
        [Event(**with_settings(e)) for e in document["events"]],
        {code: _counts(counts) for code, counts in document["judged"].items()},
        store.load(folder),
        parts=_read(folder / "parts.parquet"),
    )


def _with_later_columns(
    sums: Mapping[str, pl.DataFrame], drawn: pl.DataFrame | None
) -> tuple[dict[str, pl.DataFrame], pl.DataFrame | None]:
    """Frames of versions that wrote no `judged` (`tested` was what the law was held to), and uniforms without rank and token."""
    lacking = {name: t for name, t in sums.items() if "tested" in t.columns and "judged" not in t.columns}
    held = {name: t.with_columns(judged="tested") for name, t in lacking.items() if name in ("laws", "requests")}
    if drawn is not None and "like" not in drawn.columns:
        drawn = drawn.with_columns(rank=pl.lit(None, pl.Int64), like=pl.int_range(pl.len()).cast(pl.UInt64))
    return {**sums, **held}, drawn


def sampled_otherwise(folder: Path) -> bool:
    """Whether a saved audit was cut to a sample by hashes of another kind, so that no sums can be added to it."""
    document = orjson.loads((folder / "audit.json").read_bytes())
    if _hashing(document) == HASHING:
        return False
    if _hashing(document) > HASHING or document["ceiling"] != Tally().ceiling:
        return True
    requests = _read(folder / "sums-requests.parquet")
    return requests is not None and requests.height >= REQUESTS


def _hashing(document: Mapping[str, Any]) -> int:
    return int(document.get("hashing", 0))


def _hashed_anew(
    sums: Mapping[str, pl.DataFrame], steps: pl.DataFrame | None, drawn: pl.DataFrame | None
) -> tuple[dict[str, pl.DataFrame], pl.DataFrame | None, pl.DataFrame | None]:
    """Frames with the hashes of today: those of polars, which older versions kept, are others in each of its releases."""
    anew = dict(sums)
    if "places" in anew:
        anew["places"] = anew["places"].with_columns(hash=request_hash(anew["places"], ["request_id"]))
    if "requests" in anew:
        before, anew["requests"] = anew["requests"], keyed(anew["requests"])
        if drawn is not None:
            new = pl.DataFrame({"request": before["hash"], "new": anew["requests"]["hash"]}).unique("request")
            known = drawn.join(new, on="request", how="left", maintain_order="left")
            drawn = known.with_columns(request=pl.coalesce("new", "request")).drop("new")
    return anew, None if steps is None else keyed(steps), drawn


def together(audits: Sequence[Audit]) -> Audit:
    """Audits of different inputs as one."""
    if len(audits) == 1:
        return audits[0]
    runs: dict[str, Run] = {}
    for audit in audits:
        runs |= audit.runs
    heads = pl.concat([a.requests for a in audits]).unique(["run_id", "request_id"], keep="last", maintain_order=True)
    windows, judged = gathered(audits)
    return Audit(
        merge([a.tally for a in audits]),
        [i for a in audits for i in a.inputs],
        runs,
        heads,
        sum(a.unknown_requests for a in audits),
        windows,
        [e for a in audits for e in a.events],
        judged,
        merged([a.texts for a in audits]),
        parts=parts.together(a.parts for a in audits),
    )


def _counts(plain: Json) -> Counts:
    told: Json = {name: tuple(v) if isinstance(v, list) else v for name, v in plain.items()}
    return Counts(**told)


def fits(one: Audit, other: Audit) -> bool:
    """Whether two audits add up: another version may have written one, with other columns in a frame of its sums."""
    a, b = one.tally.sums, other.tally.sums
    return all(set(a[name].columns) == set(b[name].columns) for name in a.keys() & b.keys())


def _write(frame: pl.DataFrame, file: Path) -> None:
    frame.write_parquet(file, compression="zstd", compression_level=6, statistics=False)


def _read(file: Path) -> pl.DataFrame | None:
    return pl.read_parquet(file) if file.is_file() else None


def _fewer(steps: pl.DataFrame | None) -> pl.DataFrame | None:
    """Whole requests of lowest hash; a lone long request is cut. Ids are renumbered."""
    if steps is None:
        return None
    if steps.height > STEPS:
        ordered = steps.sort("hash", "law", "step", maintain_order=True)
        kept = ordered.filter(pl.col("hash") < ordered["hash"][STEPS])
        steps = kept if kept.height else ordered.head(STEPS)
    return pseudonyms(steps)


def _thinned(tally: Tally) -> tuple[pl.DataFrame | None, int]:
    sample, shift = tally.uniforms, tally.uniforms_shift
    while sample is not None and sample.height > UNIFORMS and shift < 40:
        shift += 1
        sample = sample.filter(pl.col("mix") < 1 << (64 - shift))
    return sample, shift


def _plain_paths(rows: pl.DataFrame | None) -> pl.DataFrame | None:
    if rows is None:
        return None
    paths = rows["path"].unique().to_list()
    return rows.with_columns(pl.col("path").replace_strict(paths, [without_credentials(path) for path in paths]))


def _untold(row: Mapping[str, Any]) -> Json:
    return {k: v for k, v in row.items() if k not in TOKENS}


def _input(saved: Json) -> Input:
    saved = with_kinds(saved)
    losses = [Loss(**x) for x in saved.pop("losses")]
    notices = [Notice(**x) for x in saved.pop("notices")]
    doubt = saved.pop("doubt", None)
    known = Doubt(**doubt) if doubt else None
    return replace(Input(**saved), losses=losses, notices=notices, doubt=known)

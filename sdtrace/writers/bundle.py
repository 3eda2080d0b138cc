"""The evidence of a report in one file that may be handed on: the steps concerned, the report, versions, commands.

A bundle is a zip; its member trace.jsonl is trace format 1, so that `sdtrace report BUNDLE` reads it. Without `ids`,
token ids are renumbered (equal stays equal), requests have pseudonyms, and prompts, tags, names of users in paths and free
configuration are left out.
"""

import io
import platform
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import orjson
import polars as pl

from sdtrace.redaction import redacted
from sdtrace.results.report import Report
from sdtrace.schema.trace import Batched, conform, empty
from sdtrace.verify.law import CHILDREN
from sdtrace.version import VERSION
from sdtrace.writers.convert import line
from sdtrace.writers.pseudonyms import pseudonyms

#: Steps of a bundle; requests are taken whole while they fit.
STEPS = 4_000
#: What of a run's configuration is no secret: how the engine ran, not where.
_CONFIG = (
    *("dtype", "tensor_parallel_size", "gpu", "max_num_seqs", "max_num_batched_tokens", "enforce_eager"),
    *CHILDREN,
)
_HIDDEN = ("prompt_token_ids", "tags")
_KEYS = ["run_id", "request_id"]


@dataclass(frozen=True)
class Piece:
    """What of the inputs goes into a bundle."""

    runs: pl.DataFrame
    requests: pl.DataFrame
    steps: pl.DataFrame


def concerned(report: Report) -> list[tuple[str, str]]:
    """(run, request) of every piece of evidence, then those of the viewer, each once."""
    found = [
        (str(row.get("run_id") or ""), str(row["request_id"]))
        for cause in report.document["causes"]
        for row in cause["evidence"]
        if row.get("request_id") is not None
    ]
    found += [(v.run_id, v.request_id) for v in report.viewer]
    return list(dict.fromkeys(found))


def piece(sources: Sequence[Batched], keys: Sequence[tuple[str, str]], *, ids: bool) -> Piece:
    """The records of these requests, of the first ones whose steps fit. Without `ids`, the sources are in disguise."""
    wanted = pl.DataFrame(keys, schema=dict.fromkeys(_KEYS, pl.String), orient="row").with_row_index("place")
    runs, requests, steps = [empty("run")], [empty("request")], []
    for source in sources:
        for batch in source.batches():
            runs.append(batch.runs)
            requests.append(batch.requests.join(wanted, on=_KEYS, how="semi"))
            steps.append(batch.steps.join(wanted, on=_KEYS, how="inner").sort("place", "step").head(STEPS))
    mine = pl.concat(steps).sort("place", *_KEYS, "step", maintain_order=True) if steps else empty("step")
    mine = mine.head(STEPS)
    heads = pl.concat(requests).unique(_KEYS, keep="last", maintain_order=True).join(mine, on=_KEYS, how="semi")
    known = pl.concat(runs).unique("run_id", keep="last", maintain_order=True)
    known = known.join(mine, on="run_id", how="semi", maintain_order="left")
    return Piece(known, heads, conform(mine, "step")) if ids else _bare(known, heads, mine)


def _bare(runs: pl.DataFrame, requests: pl.DataFrame, steps: pl.DataFrame) -> Piece:
    """Without content. Stop ids keep their meaning: they are renumbered with the tokens."""
    stops = requests.select(*_KEYS, "stop_token_ids")
    joined = pseudonyms(steps.join(stops, on=_KEYS, how="left", maintain_order="left"), stop_ids=True)
    heads = requests.with_columns(pl.lit(None, dtype=requests.schema[name]).alias(name) for name in _HIDDEN)
    stops = joined.select(*_KEYS, "stop_token_ids").unique(_KEYS, keep="first", maintain_order=True)
    heads = heads.drop("stop_token_ids").join(stops, on=_KEYS, how="left", maintain_order="left")
    kept = pl.col("config").map_elements(_open_config, return_dtype=pl.String)
    return Piece(runs.with_columns(kept), conform(heads, "request"), conform(joined, "step"))


def _open_config(text: str) -> str:
    try:
        config = orjson.loads(text)
    except ValueError:
        return "{}"
    given = config if isinstance(config, dict) else {}
    found = {k: given[k][:80] if isinstance(given[k], str) else given[k] for k in _CONFIG if k in given}
    return orjson.dumps({k: v for k, v in found.items() if isinstance(v, str | int | float)}).decode()


def pack(report: Report, part: Piece, page: bytes, document: bytes, *, ids: bool) -> bytes:
    """The bundle; the same bytes for the same evidence."""
    lines = [
        line(table, row)
        for table, frame in (("run", part.runs), ("request", part.requests), ("step", part.steps))
        for row in frame.iter_rows(named=True)
    ]
    about = _about(report, part, ids=ids)
    members = {"README.txt": about, "report.html": page, "report.json": document, "trace.jsonl": b"".join(lines)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _about(report: Report, part: Piece, *, ids: bool) -> bytes:
    """What this is, in a few lines for whoever is sent it."""
    verdict = report.document["verdict"]
    engines = [f"{r['engine']} {r['engine_version'] or ''}".strip() for r in part.runs.to_dicts() if r["engine"]]
    commands = [row["command"] for c in report.document["causes"] for row in c["evidence"] if row.get("command")]
    shown: list[Any] = [
        "Evidence of sdtrace, speculative decoding diagnostics.",
        "",
        f"verdict   {verdict['state']}: {verdict['headline']}",
        f"holds     {part.steps.height} steps of {part.requests.height or part.steps['request_id'].n_unique()} requests",
        "content   token ids as recorded"
        if ids
        else "content   none: token ids are renumbered, requests are called otherwise, prompts, tags and users left out",
        f"engines   {'; '.join(dict.fromkeys(engines)) or 'not told'}",
        f"versions  sdtrace {VERSION}, polars {metadata.version('polars')}, Python {platform.python_version()}",
        "",
        "sdtrace report BUNDLE.zip             reads trace.jsonl again",
        "sdtrace explain BUNDLE.zip --request ID --step N",
        *(["", "on the original input:", *dict.fromkeys(commands)] if commands and ids else []),
    ]
    told = [str(text).replace("\n", " ") for text in shown]
    return ("\n".join(map(redacted, told)) + "\n").encode("utf-8", "replace")

"""Faults in a part of the traffic: acceptance against its chance by adapter, rank, batch, hour and whatever else is known before
the draw. Accepted minus chance is a martingale in every such part, so each has an e-value, and e-BH holds them together (Wang and
Ramdas 2022). So are acceptance given the emitted token, and where sums over the vocabulary are logged q at drafted tokens and p at
those that the target draws alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

import numpy as np
import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.chosen import Chosen
from sdtrace.schema.json_values import json_object
from sdtrace.stats.e_process import e_bh
from sdtrace.stats.e_value import log_e
from sdtrace.stats.significance import INFORMATION
from sdtrace.tally.evidence.by_step import AGES
from sdtrace.verify.law import Law
from sdtrace.verify.laws import LAWS

#: Chance that a report on a correct engine names any slice (Ville; e-values are rarely near their bound).
LEVEL = 1e-3
#: What quantities of tokens have of it: what was seen without them is seen nearly as soon beside them.
_TOKENS = 0.2
#: Points of acceptance that a slice must be off.
LEAST = 0.01
#: The same of what is weighed: a weight is a third on the average.
_LEAST_WEIGHED = 0.004
#: Values of a tag that are looked at, those of most information first.
_VALUES = 200
#: The rest of a trace is in order with no more than this share of the slice's effect, or below this z.
_REST, _CALM = 0.25, 3.0
#: Standard errors between the slice and the rest.
_APART = 3.0
#: A slice that is nearly everything is no slice.
_MOST = 0.9

#: What a slice is called in a report.
_NAMES = {"batch": "batch_size", "context": "context_len", "age": "step", "draft_length": "num_draft_tokens"}
_SUMS = ("n", "d", "v", "s")

TABLE = pl.DataFrame(
    schema={
        **dict.fromkeys(("run_id", "law", "quantity", "by", "value"), pl.String),
        **dict.fromkeys(
            (*_SUMS, "share", "effect", "low", "high", "rest", "rest_z", "apart", "log_e", "draft_z"), pl.Float64
        ),
        **dict.fromkeys(("from", "to", "slices"), pl.Int64),
        "found": pl.Boolean,
    }
)


def slices(audit: Audit, chosen: Chosen) -> pl.DataFrame:
    """One row a slice and quantity of the runs that declare their law: acceptances first, then the most telling. `found`: it is off
    there, and in the rest of the run it is not. `draft_z`: standard errors that q at the drafted tokens of the slice is off."""
    laws = audit.tally.frame("laws")
    if laws.is_empty():  # no step was read, or none of those that were asked for
        return TABLE
    told = pl.col("run_id").is_in([run for run, c in chosen.choices.items() if c.source == "declared" and c.accuses])
    # a seed of the user may be behind them: then requests share draws, which only logged ones show
    if audit.unknown_requests:
        told &= pl.col("run_id").is_in(laws.filter(pl.col("with_uniform") > 0)["run_id"].unique().to_list())
    found: list[dict[str, Any]] = []
    by_outcome = cache(partial(_lengths_by_outcome, chosen))
    for name, cut in _CUTS:
        frame = chosen.frame(name)
        if frame.is_empty():
            continue
        frame = frame if "quantity" in frame.columns else frame.with_columns(quantity=pl.lit("accepted"))
        for (run, law, quantity), part in frame.filter(told).group_by("run_id", "law", "quantity", maintain_order=True):
            if not _valid(str(quantity), LAWS[str(law)]):
                continue
            if cut is _steps and by_outcome(str(run)):
                part = part.filter(pl.col("by") != "draft_length")
            exact = quantity in ("emitted", "leaning") or (quantity == "accepted" and LAWS[str(law)].decides == "token")
            head = {"run_id": run, "law": law, "quantity": quantity}
            found += [head | row | {"exact": exact} for row in cut(part, audit)]
    rows = [_read(row) for row in found if row["v"] >= INFORMATION]
    named = _off(rows, LEVEL * (1.0 - _TOKENS), tokens=False) | _off(rows, LEVEL * _TOKENS, tokens=True)
    for i, row in enumerate(rows):
        row["slices"], row["found"] = len(rows), str(i) in named and _confined(row)
    if not rows:
        return TABLE
    table = pl.DataFrame(rows, schema={name: dtype for name, dtype in TABLE.schema.items() if name != "draft_z"})
    at = ["run_id", "law", "by", "value"]
    drafted = table.filter(pl.col("quantity") == "drafted").select(*at, draft_z=pl.col("d") / pl.col("v").sqrt())
    table = table.join(drafted, on=at, how="left", maintain_order="left")
    return table.sort("found", pl.col("quantity") == "accepted", "log_e", descending=True)


def _off(rows: Sequence[Mapping[str, Any]], level: float, *, tokens: bool) -> set[str]:
    """Numbers of the rows of acceptances, or of tokens, that e-BH rejects at a level."""
    family = {str(i): row["log_e"] for i, row in enumerate(rows) if (row["quantity"] != "accepted") is tokens}
    return e_bh(family, level)


def _valid(quantity: str, law: Law) -> bool:
    """Whether a quantity has mean 0 under a law."""
    return {
        "accepted": True,
        "emitted": law.residual == "ratio",
        "leaning": law.residual == "ratio",
        "drafted": law.draft == "sampled",
        "alone": law.calibrated,
    }[quantity]


#: Steps with less than the longest draft that tell whether a rejection ended them.
_TELLING = 20


def _lengths_by_outcome(chosen: Chosen, run: str) -> bool:
    """Whether lists of drafted tokens end where one was rejected: no list is accepted whole but the longest ones."""
    if chosen.steps is None:
        return False
    steps = chosen.steps.filter((pl.col("run_id") == run) & (pl.col("tau") > 0) & (pl.col("n_a") >= 0))
    shorter = steps.filter(pl.col("tau") < pl.col("tau").max())
    return shorter.height >= _TELLING and not (shorter["n_a"] == shorter["tau"]).any()


def _steps(part: pl.DataFrame, audit: Audit) -> Iterator[dict[str, Any]]:
    """Slices of steps and positions, with what is above a threshold taken together where values have an order."""
    for (by,), values in part.group_by("by", maintain_order=True):
        whole = dict(zip(_SUMS, values.select(_SUMS).to_numpy().sum(axis=0), strict=True))
        if by in ("rank", "graph"):
            yield from ({"by": by, "value": row["value"], **_sums(row), "whole": whole} for row in values.to_dicts())
            continue
        ordered = values.with_columns(pl.col("value").cast(pl.Int64)).sort("value")
        cut = _hours(ordered) if by == "hour" else _ranges(str(by), ordered)
        for name, low, high, sums in cut:
            yield {
                "by": name,
                "value": between(name, low, high),
                "from": low,
                "to": high,
                **_sums(sums),
                "whole": whole,
            }


Cut = tuple[str, int, int | None, Mapping[str, Any]]


def _hours(ordered: pl.DataFrame) -> Iterator[Cut]:
    """Hours, and hours of the day where there are several days."""
    yield from (("hour", row["value"], row["value"], row) for row in ordered.to_dicts())
    daily = ordered.group_by(pl.col("value") % 24).agg(pl.col(_SUMS).sum()).sort("value")
    if daily.height < ordered.height:
        yield from (("hour_of_day", row["value"], row["value"], row) for row in daily.to_dicts())


def _ranges(by: str, ordered: pl.DataFrame) -> Iterator[Cut]:
    """Buckets, and what lies from each of them on, or before it."""
    name, rows = _NAMES.get(by, by), ordered.to_dicts()
    sums = ordered.select(_SUMS).to_numpy()
    below, above = np.cumsum(sums, axis=0), np.cumsum(sums[::-1], axis=0)[::-1]
    single = by in ("position", "draft_length")
    for i, row in enumerate(rows):
        low = row["value"]
        yield name, low, low if single else _end_of(by, low), row
        if 0 < i < len(rows) - 1:
            yield name, low, None, dict(zip(_SUMS, above[i], strict=True))
        if i > 1:
            yield name, rows[0]["value"], low - 1, dict(zip(_SUMS, below[i - 1], strict=True))


def _end_of(by: str, low: int) -> int | None:
    """The greatest number of the bucket that begins at `low`."""
    if by == "age":
        return next((age - 1 for age in AGES if age > low), None)
    return 2 * (low - 1) if low > 1 else 1


def between(by: str, low: int, high: int | None) -> str:
    """A range in words."""
    if by == "hour":
        begins = f"{datetime.fromtimestamp(3600 * low, UTC):%Y-%m-%d %H:00 UTC}"
        return f"{begins} and later" if high is None else begins
    if by == "hour_of_day":
        return f"{low:02d}:00 UTC, every day"
    return f"> {low - 1}" if high is None else str(low) if high <= low else f"{low} to {high}"


def _sums(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(row[name]) for name in _SUMS}


def _requests(part: pl.DataFrame, audit: Audit) -> Iterator[dict[str, Any]]:
    """Slices of requests: every tag, and whether the prompt was found in the prefix cache."""
    said = pl.any_horizontal(pl.col("tags", "cached_tokens").is_not_null())
    known = audit.requests.select("run_id", "request_id", "tags", "cached_tokens")
    if not known.select(said.any()).item():
        return
    joined = part.join(known, on=["run_id", "request_id"], how="inner")
    whole = _total(joined)
    hits = joined.filter(pl.col("cached_tokens").is_not_null())
    for value, mine in hits.group_by(pl.col("cached_tokens") > 0, maintain_order=True):
        yield {"by": "prefix_hit", "value": "yes" if value[0] else "no", **_total(mine), "whole": _total(hits)}
    for key, tagged in _tags(joined.filter(pl.col("tags").is_not_null())).items():
        sums = tagged.group_by("value", maintain_order=True).agg(pl.col(_SUMS).sum())
        if sums.height > 1:
            for row in sums.sort("v", descending=True).head(_VALUES).to_dicts():
                yield {"by": f"tags.{key}", "value": row["value"], **_sums(row), "whole": whole}


def _total(table: pl.DataFrame) -> dict[str, float]:
    return _sums(table.select(pl.col(_SUMS).sum()).row(0, named=True))


def _tags(joined: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """For every tag the sums of the requests that have it, with its `value`."""
    by_tags = joined.group_by("tags", maintain_order=True).agg(pl.col(_SUMS).sum())
    found: dict[str, list[dict[str, Any]]] = {}
    for row in by_tags.to_dicts():
        for key, value in pairs(row["tags"]):
            found.setdefault(key, []).append({"value": value, **_sums(row)})
    return {key: pl.DataFrame(rows) for key, rows in found.items()}


def pairs(tags: str | None) -> Sequence[tuple[str, str]]:
    """The tags of a request line; none where they are no object."""
    return [(str(k), str(v)) for k, v in json_object(tags).items()]


def _read(row: dict[str, Any]) -> dict[str, Any]:
    whole, n = row.pop("whole"), row["n"]
    exact = row.pop("exact")
    left = {name: whole[name] - row[name] for name in _SUMS}
    half = 1.96 * row["v"] ** 0.5 + row["s"]
    z = max(abs(left["d"]) - left["s"], 0.0) / left["v"] ** 0.5 if left["v"] >= INFORMATION else float("inf")
    rest = left["d"] / left["n"] if left["n"] else 0.0
    error = (row["v"] / n**2 + (left["v"] / left["n"] ** 2 if left["n"] else 0.0)) ** 0.5
    apart = max(abs(row["d"] / n - rest) - row["s"] / n, 0.0) / error
    return row | {
        "share": n / whole["n"],
        "effect": row["d"] / n,
        "low": (row["d"] - half) / n,
        "high": (row["d"] + half) / n,
        "rest": rest,
        "rest_z": z,
        "apart": apart,
        "log_e": log_e(row["d"], row["v"], row["s"], exact=exact),
    }


def _confined(row: Mapping[str, Any]) -> bool:
    """Whether the slice is off by what matters, and the rest is not off with it: few positions that are not seen to be off may be
    as much off as those of the slice."""
    calm = row["rest_z"] < _CALM or abs(row["rest"]) < _REST * abs(row["effect"])
    apart = row["apart"] >= _APART and row["rest_z"] < float("inf")
    least = _LEAST_WEIGHED if row["quantity"] == "leaning" else LEAST
    return bool(calm and apart) and abs(row["effect"]) >= least and row["share"] <= _MOST


#: Frames of the tally, and how they are cut.
_CUTS = (("slices", _steps), ("request_sums", _requests), ("token_slices", _steps), ("token_sums", _requests))

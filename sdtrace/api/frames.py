"""The tables of a report, for whoever goes on from it: polars frames whose columns are declared once, with type, unit and meaning.

No token id and no text is in them. A frame has all its columns always; what is not known is null.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.errors import UsageError, nearest
from sdtrace.schema.counters import WINDOW
from sdtrace.schema.json_values import Json
from sdtrace.schema.trace import FLOAT, INT, REQUEST, RUN, STR, Column

STRINGS = pl.List(pl.String())


@dataclass(frozen=True)
class Kept:
    """What a report was made of, so that it can be compared and gone on from: sums, whatever the size of the input."""

    path: str
    audit: Audit
    diagnosis: Diagnosis


_DECIDED = {
    "drafted": Column(INT, "tokens", "drafted tokens"),
    "tested": Column(INT, "tokens", "drafted tokens that were accepted or rejected"),
    "accepted": Column(INT, "tokens", "accepted tokens"),
    "disagree": Column(INT, "tokens", "decisions that contradict the law"),
}
_AT = Column(FLOAT, "s", "Unix time, or the log's own clock")

#: Every frame and its columns.
COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "runs": RUN,
    "requests": {
        **{name: Column(STR, "", name.partition("_")[0]) for name in ("run_id", "request_id")},
        "law": Column(STR, "", "verification rule that its decisions were held to"),
        "steps": Column(INT, "steps", "verification steps"),
        "appended": Column(INT, "tokens", "emitted tokens, where that is recorded"),
        **_DECIDED,
        "tokens_per_step": Column(FLOAT, "tokens", "appended / steps with recorded output"),
        "acceptance": Column(FLOAT, "", "accepted / drafted, in steps that tell what was accepted"),
        "first_at": Column(FLOAT, "s", "Unix time of its first step"),
        "last_at": Column(FLOAT, "s", "Unix time of its last step"),
        **{name: REQUEST[name] for name in ("temperature", "top_p", "top_k", "seed", "prompt_len", "output_len", "tags")},
        "path": Column(STR, "", "input of its first line"),
        "line": Column(INT, "", "its first line"),
    },
    "positions": {
        "run_id": Column(STR, "", "run"),
        "law": Column(STR, "", "verification rule"),
        "position": Column(INT, "", "place in the draft, from 0"),
        "verified": Column(INT, "steps", "steps that verify this position"),
        **{name: column for name, column in _DECIDED.items() if name != "drafted"},
        "acceptance": Column(FLOAT, "", "accepted / tested"),
        "expected": Column(FLOAT, "", "mean chance of acceptance under the law, where it is known"),
    },
    "timeline": {
        "at": Column(FLOAT, "s", "beginning of the stretch: Unix time, or the number of its first record where no time is known"),
        "span": Column(FLOAT, "s", "its length, in the same unit"),
        "steps": Column(INT, "steps", "verification steps"),
        "appended": Column(INT, "tokens", "emitted tokens, where that is recorded"),
        **_DECIDED,
    },
    "windows": {**WINDOW, "path": Column(STR, "", "input")},
    "checks": {
        "code": Column(STR, "", "code that never changes"),
        "name": Column(STR, "", "the fault that it looks for"),
        "state": Column(STR, "", "fired, clear, cannot-tell or crashed"),
        "examined": Column(INT, "", "rows that it could judge"),
        "total": Column(INT, "", "rows in its scope"),
        "value": Column(FLOAT, "", "its own figure"),
        "headline": Column(STR, "", "what it found, in a sentence"),
    },
    "causes": {
        "cause": Column(STR, "", "name that never changes"),
        "side": Column(STR, "", "wrong, slow or metric"),
        "certainty": Column(STR, "", "proved, statistical or suspected"),
        "blame": Column(STR, "", "whom it points at"),
        "checks": Column(STRINGS, "", "codes of the checks that show it"),
        "headline": Column(STR, "", "what it says, in a sentence"),
        "advice": Column(STR, "", "what to do"),
    },
    "changes": {
        "what": Column(STR, "", "figure"),
        "series": Column(STR, "", "engine, rank or pod"),
        "at": _AT,
        "before": Column(FLOAT, "", "level before it, in the figure's unit"),
        "after": Column(FLOAT, "", "level after it"),
        "where": Column(STR, "", "path:line"),
        "until": Column(FLOAT, "s", "end of a slow change"),
        "says": Column(STR, "", "what the engine announced"),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Frames:
    """`runs`, `requests` (20,000 at most, chosen by hash), `positions` and `timeline` are of traces, `windows` of logs and scrapes."""

    document: Json = field(repr=False)
    kept: Kept | None = field(repr=False)

    def columns(self, name: str) -> Mapping[str, Column]:
        """Columns of a frame by name, each with `dtype`, `unit` and `meaning`. Raises UsageError for an unknown frame."""
        if name not in COLUMNS:
            raise UsageError(f"{name}: no such frame", nearest(name, COLUMNS))
        return COLUMNS[name]

    @cached_property
    def runs(self) -> pl.DataFrame:
        """One row a run, as the trace declares it."""
        return _rows("runs", [run.row() for run in self.kept.audit.runs.values()] if self.kept else [])

    @cached_property
    def requests(self) -> pl.DataFrame:
        """One row a request of a trace: its sums, and how it was sampled. One that another run went on with is a row of the run in
        which it began."""
        sums = pl.DataFrame() if self.kept is None else self.kept.diagnosis.chosen.requests
        if self.kept is None or sums.is_empty():
            return _rows("requests", [])
        lines = self.kept.audit.requests
        known = [name for name in COLUMNS["requests"] if name in lines.columns and name not in sums.columns]
        joined = sums.join(lines.select("run_id", "request_id", *known), on=["run_id", "request_id"], how="left")
        whole = joined.with_columns(
            tokens_per_step=_ratio("appended", "known_appended"),
            acceptance=_ratio("accepted", "drafted_counted"),
            appended=pl.when(pl.col("known_appended") > 0).then("appended"),
            path="first_path",
            line="first_line",
        )
        return _typed("requests", whole).sort("run_id", "request_id")

    @cached_property
    def positions(self) -> pl.DataFrame:
        """One row a run and place in the draft."""
        sums = self._sums("positions")
        if sums.is_empty():
            return _rows("positions", [])
        rates = sums.with_columns(acceptance=_ratio("accepted", "tested"), expected=_ratio("expected", "expected_n"))
        return _typed("positions", rates).sort("run_id", "law", "position")

    @cached_property
    def timeline(self) -> pl.DataFrame:
        """One row a stretch of time of a trace, 240 at most."""
        if self.kept is None or (table := self.kept.audit.tally.frame("timeline")).is_empty():
            return _rows("timeline", [])
        width = self.kept.audit.tally.width or 1.0
        laws = self.kept.diagnosis.choices.values()
        mine = table.filter(pl.col("law").is_in([*(choice.law for choice in laws), "greedy", "unknown"]))
        sums = mine.group_by("bucket").agg(pl.exclude("law").sum()).sort("bucket")
        return _typed("timeline", sums.with_columns(at=pl.col("bucket") * width, span=pl.lit(width)))

    @cached_property
    def windows(self) -> pl.DataFrame:
        """One row a log line, sample or record that holds counts."""
        return _rows("windows", []) if self.kept is None else _typed("windows", self.kept.audit.windows)

    @cached_property
    def checks(self) -> pl.DataFrame:
        """One row a check."""
        return _rows("checks", self.document["checks"])

    @cached_property
    def causes(self) -> pl.DataFrame:
        """One row a cause, strongest first."""
        return _rows("causes", self.document["causes"])

    @cached_property
    def changes(self) -> pl.DataFrame:
        """One row a change of a figure, in order of time."""
        return _rows("changes", self.document["changes"])

    def _sums(self, name: str) -> pl.DataFrame:
        return pl.DataFrame() if self.kept is None else self.kept.diagnosis.chosen.frame(name)


def _ratio(above: str, below: str) -> pl.Expr:
    return pl.when(pl.col(below) > 0).then(pl.col(above) / pl.col(below))


def _typed(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The declared columns, in their order and types; absent ones null."""
    return frame.select(
        pl.col(column).cast(declared.dtype) if column in frame.columns else pl.lit(None, declared.dtype).alias(column)
        for column, declared in COLUMNS[name].items()
    )


def _rows(name: str, rows: list[Json]) -> pl.DataFrame:
    """The frame of plain rows; keys that are not declared are left out."""
    schema = {column: declared.dtype for column, declared in COLUMNS[name].items()}
    return pl.DataFrame([{column: row.get(column) for column in schema} for row in rows], schema=schema)

"""A run as a value: its line in the trace, and what the trial of the record found that it means."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from sdtrace.schema.json_values import json_object

if TYPE_CHECKING:  # a replay on a GPU has no polars
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class Run:
    """Fields as `sdtrace.schema.trace.RUN` declares them, then those of a ruling (`sdtrace.verify.rulings`). None: not said.

    Steps may belong to a run without a line of its own: `Run()`.
    """

    run_id: str = ""
    engine: str | None = None
    engine_version: str | None = None
    method: str | None = None
    target_model: str | None = None
    draft_model: str | None = None
    rule: str | None = None
    rule_params: str | None = None
    draft_sampling: str | None = None
    num_draft_tokens: int | None = None
    prob_basis: str | None = None
    prob_dtype: str | None = None
    vocab_size: int | None = None
    draft_vocab_size: int | None = None
    started_at: float | None = None
    config: str | None = None

    imprecise: float | None = None
    cut_digits: bool | None = None
    over_counted: int | None = None
    apart: str | None = None
    draft_unsaid: bool | None = None
    mask_unknown: bool | None = None
    mute_draws: bool | None = None
    mute_statistics: bool | None = None
    basis_doubted: bool | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The object that `config` holds; {} where it holds none."""
        return json_object(self.config)

    @property
    def rule_settings(self) -> dict[str, Any]:
        """The object that `rule_params` holds; {} where it holds none."""
        return json_object(self.rule_params)

    def row(self) -> dict[str, Any]:
        """Plain values, as a run line has them; of a ruling what it says."""
        return {name: value for name, value in vars(self).items() if name not in _RULED or value is not None}


_NAMES = frozenset(field.name for field in fields(Run))
_RULED = frozenset(
    {
        "imprecise",
        "cut_digits",
        "over_counted",
        "apart",
        "draft_unsaid",
        "mask_unknown",
        "mute_draws",
        "mute_statistics",
        "basis_doubted",
    }
)


def run_of(row: Mapping[str, Any]) -> Run:
    """A row of the run table, or of a saved one; keys that are not known are left out."""
    return Run(**{name: value for name, value in row.items() if name in _NAMES})


def runs_of(table: "pl.DataFrame") -> dict[str, Run]:
    """The runs of a run table by their id; the last line of a run counts."""
    return {row["run_id"]: run_of(row) for row in table.iter_rows(named=True)}

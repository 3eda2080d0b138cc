"""The public functions; the commands are a thin voice over them.

What a report does not need loads where it is used: a fifth of the modules, a tenth of a short report's processor time.

Each returns a `Report` and raises an `SdtraceError`, whose `hint` says what to do: UsageError for arguments that cannot be
meant, NoInputError where nothing is found or recognised, MissingExtraError where an optional dependency is needed, OutputError
and StateError where a file or a state folder cannot be used. Damaged input raises nothing: the report counts it.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sdtrace.api.arguments import Moment, between, conditions, given, positive
from sdtrace.api.explanation import explain, worth_a_look
from sdtrace.api.frames import Kept
from sdtrace.api.typed_report import Report, compared, typed
from sdtrace.audit.audit import Span
from sdtrace.checks import CHECKS
from sdtrace.comparison import MARGIN
from sdtrace.document.document import compose
from sdtrace.document.spelled import speller, viewed_as_text
from sdtrace.errors import SdtraceError, UsageError
from sdtrace.pipeline import (
    OVERFLOW_ALLOWED,
    Inputs,
    Machines,
    audit_and_diagnose,
    opened_and_filtered,
    paths_of,
)
from sdtrace.pipeline import read as _read
from sdtrace.readers import Opened
from sdtrace.tuning.attach import attach, attach_counts
from sdtrace.tuning.run import Asked
from sdtrace.tuning.sample import gather, of_tally

if TYPE_CHECKING:
    from sdtrace.api.engines import probe, replay
    from sdtrace.responses.ids.table import Table

__all__ = ["Report", "diff", "explain", "probe", "read", "replay", "report", "tune", "worth_a_look"]


def __getattr__(name: str) -> Any:
    if name not in ("probe", "replay"):
        raise AttributeError(f"module 'sdtrace.api' has no attribute {name!r}")
    return getattr(import_module("sdtrace.api.engines"), name)


def read(inputs: Inputs, *, format: str | None = None) -> list[Opened]:
    """Open files, folders, globs, addresses or `-`: one object an input, each with `path`, `format`, `engine` and `batches()`.

    A batch holds polars frames: `runs`, `requests` and `steps` with the columns of trace format 1, `windows` with counts; and
    `losses`, what could not be read. `format` forces a reader. Raises NoInputError where nothing is found or recognised,
    UsageError for an unknown format.
    """
    return _read(given(inputs), format=format)


def report(
    inputs: Inputs,
    *,
    format: str | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    where: str | Sequence[str] = (),
    ids: bool = False,
    baseline_ms: float | None = None,
    machines: Machines | None = None,
    tokenizer: str | None = None,
    text: bool = False,
) -> Report:
    """Read, audit, check, diagnose: the main job.

    `since` and `until` are Unix seconds or times with a zone (steps without a time are left out by them), `where` holds
    conditions such as `tags.task=code` or `temperature=0`. `ids` lets token ids into the report; `baseline_ms` is the time of
    a plain step, where it is known. `machines` reads elsewhere: `sdtrace.audit.cluster.Ray().audit`.
    `tokenizer`, a folder with tokenizer.json, has the emitted ids looked at for corrupt text; with `text` the viewer shows tokens
    as text (extra `text`; `ids` too). Raises NoInputError and UsageError; damaged input is in the report instead.
    """
    table, span, where = None if tokenizer is None else _table(tokenizer), between(since, until), conditions(where)
    if table is not None and (where or "-" in paths_of(given(inputs))):
        raise UsageError(
            "--tokenizer reads whole inputs, and twice", "leave --where out, and write standard input to a file"
        )
    if text and tokenizer is None:
        raise UsageError("text needs a tokenizer", "give the folder with its tokenizer.json")
    spell = speller(tokenizer) if text and tokenizer is not None else None
    ids = ids or text
    found = _report(inputs, format, span, where, ids=ids, baseline_ms=baseline_ms, machines=machines, table=table)
    return found if spell is None else replace(found, viewer=viewed_as_text(found.viewer, spell), text=True)


def _table(tokenizer: str) -> "Table":
    from sdtrace.responses.ids.table import read_table

    return read_table(tokenizer)


def tune(
    inputs: Inputs,
    *,
    format: str | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    where: str | Sequence[str] = (),
    baseline_ms: float | None = None,
    draft_cost: float | None = None,
    slo_tpot_ms: float | None = None,
    slo_itl_ms: float | None = None,
    ids: bool = False,
) -> Report:
    """The report with a closer look at settings: a larger sample for draft length, budget and policies, and what the user knows.

    `baseline_ms` prices a step without a draft, `draft_cost` a drafted token in such steps; `slo_tpot_ms` and `slo_itl_ms` are
    limits in ms a token. Raises as `report` does.
    """
    asked = Asked(baseline_ms, draft_cost, slo_tpot_ms, slo_itl_ms)
    positive(**vars(asked))
    span, where = between(since, until), conditions(where)
    return _report(inputs, format, span, where, asked=asked, ids=ids, baseline_ms=baseline_ms)


@OVERFLOW_ALLOWED
def diff(
    base: Inputs,
    candidate: Inputs,
    *,
    format: str | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    where: str | Sequence[str] = (),
    margin: float = MARGIN,
) -> Report:
    """What changed from `base` to `candidate`: `verdict`, `causes` and `comparison` speak of the change.

    `margin` is the relative change of speed that nobody minds. The two may be of different formats; what both can say is
    compared. Raises as `report` does.
    """
    span, where, sides = between(since, until), conditions(where), []
    for inputs in map(given, (base, candidate)):
        sides.append(Kept(paths_of(inputs)[0], *audit_and_diagnose(inputs, format, span, where)))
    return compared(sides[0], sides[1], margin)


@OVERFLOW_ALLOWED
def _report(
    inputs: Inputs,
    format: str | None,
    span: Span,
    where: Sequence[str],
    *,
    asked: Asked | None = None,
    ids: bool = False,
    baseline_ms: float | None = None,
    machines: Machines | None = None,
    table: "Table | None" = None,
) -> Report:
    """With `asked`, settings are tried on a sample from a pass of its own, where the input can be read twice; `table` has the
    emitted ids looked at, in a pass of their own too."""
    inputs = given(inputs)
    first, found = audit_and_diagnose(inputs, format, span, where, baseline_ms, machines)
    traffic = of_tally(first, found.choices)
    if asked and any(one.total > len(one.text.first) for one in traffic):
        with suppress(SdtraceError):  # standard input cannot be read twice: the smaller sample has to do
            sources, keep = opened_and_filtered(inputs, format, span, where)
            traffic = gather(sources, first, found.choices, keep)
    made = attach(compose(first, found, CHECKS, ids=ids), found, traffic, asked)
    if asked and found.audit is None:
        made = attach_counts(made, found, asked)
    if table is not None:
        from sdtrace.responses.ids.answers import answers
        from sdtrace.responses.ids.judge import judge
        from sdtrace.responses.ids.section import with_ids

        sources, keep = opened_and_filtered(inputs, format, span, ())
        made = with_ids(made, judge(answers(sources, keep), table), table)
    return typed(made, Kept(paths_of(inputs)[0], first, found))

"""The public functions; the commands are a thin voice over them.

Each returns a `Report` and raises an `SdtraceError`, whose `hint` says what to do: UsageError for arguments that cannot be
meant, NoInputError where nothing is found or recognised, MissingExtraError where an optional dependency is needed, OutputError
and StateError where a file or a state folder cannot be used. Damaged input raises nothing: the report counts it.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from sdtrace.api.arguments import Moment, between, conditions, given, positive
from sdtrace.api.explanation import explain, worth_a_look
from sdtrace.api.frames import Kept
from sdtrace.api.typed_report import Report, compared, typed
from sdtrace.audit.audit import Span
from sdtrace.checks import CHECKS
from sdtrace.comparison.compare import MARGIN
from sdtrace.diagnosis.doubt import doubted, isolated
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
from sdtrace.probe.ask import TEMPERATURES, Plan
from sdtrace.probe.prompts import prompts as _prompts
from sdtrace.probe.run import probe as _probe
from sdtrace.readers import Opened
from sdtrace.replay.engine.client import KEY, Client
from sdtrace.replay.engine.offline import PREFIX, Offline
from sdtrace.responses.ids.answers import answers
from sdtrace.responses.ids.judge import judge
from sdtrace.responses.ids.section import with_ids
from sdtrace.responses.ids.table import Table, read_table
from sdtrace.results.cause import Cause
from sdtrace.tuning.attach import attach, attach_counts
from sdtrace.tuning.run import Asked
from sdtrace.tuning.sample import gather, of_tally

__all__ = ["Report", "diff", "explain", "probe", "read", "replay", "report", "tune", "worth_a_look"]

#: (what is being done, done, of how many)
Progress = Callable[[str, int, int], None]


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
    table, span, where = None if tokenizer is None else read_table(tokenizer), between(since, until), conditions(where)
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
def replay(
    inputs: Inputs,
    *,
    verifier: str,
    format: str | None = None,
    ids: bool = False,
    drafter: str | None = None,
    suspects: Sequence[str] = (),
    requests: int | None = None,
    dtype: str | None = None,
    device: str | None = None,
    state: str | None = None,
    progress: Progress | None = None,
    key_from: str = KEY,
    concurrency: int = 4,
    rate: float = 0.0,
) -> Report:
    """The report with `verifier` (a folder, a .gguf file, a hub name, a server's address, vllm:MODEL) run again over the trace.

    `requests`: how many, chosen by hash; `dtype`: float32, bfloat16 or float16; `device`: cpu or cuda; `state`: a folder that
    keeps finished requests. Of a server: `key_from`, the variable that holds its key, `concurrency` in requests, `rate` in
    requests a second (0 = no limit). Raises MissingExtraError without the extra `replay`, and what `report` raises.
    """
    if verifier.startswith(("http://", "https://", PREFIX)):
        offline = verifier.startswith(PREFIX)
        only = {"drafter": drafter, "dtype": None if offline else dtype, "device": device}
        for name in (name for name, value in only.items() if value):
            raise UsageError(f"--{name} does not go with an engine as verifier", "leave it out")
        for one in suspects:
            if not one.startswith(("http://", "https://")):
                raise UsageError(
                    f"--suspect {one}: is no address of a server",
                    "an engine as verifier takes engines as suspects: start one with that model, and give http://HOST:PORT",
                )
        others = [Client(one, key_from=key_from, concurrency=concurrency, rate=rate) for one in suspects]
        asked: Client = Offline(verifier, dtype=dtype)
        if not offline:
            asked = Client(verifier, key_from=key_from, concurrency=concurrency, rate=rate)
        return _scored(inputs, asked, others, format, requests, state, progress, ids=ids)
    from sdtrace.replay.setup import conduct

    found = conduct(
        read(inputs, format=format),
        verifier=verifier,
        drafter=drafter,
        suspects=suspects,
        requests=requests,
        dtype=dtype,
        device=device,
        state=state,
        progress=progress,
    )
    from sdtrace.replay.section import with_replay  # needs torch, which `conduct` has asked for

    audit, judged = audit_and_diagnose(inputs, format, (None, None), ())
    plain = attach(compose(audit, judged, CHECKS, ids=ids), of_tally(audit, judged.choices), None)

    def weighed(causes: Sequence[Cause]) -> list[Cause]:
        return doubted(isolated(causes, audit.inputs, found.positions), audit.inputs)

    return typed(with_replay(plain, found, weighed), Kept(paths_of(inputs)[0], audit, judged))


def _scored(
    inputs: Inputs,
    client: Client,
    suspects: Sequence[Client],
    format: str | None,
    requests: int | None,
    state: str | None,
    progress: Progress | None,
    *,
    ids: bool,
) -> Report:
    """The report with the recorded ids scored by a running server."""
    from sdtrace.probe.scored import with_engine
    from sdtrace.replay.engine.run import conduct

    found = conduct(read(inputs, format=format), client, requests, state, progress, suspects)
    plain = report(inputs, format=format, ids=ids)
    return typed(with_engine(plain, found), plain.kept)


def probe(
    url: str,
    *,
    against: str | None = None,
    prompts: str | None = None,
    requests: int = 30,
    tokens: int = 64,
    temperatures: Sequence[float] = TEMPERATURES,
    budget_tokens: int | None = None,
    budget_s: float | None = None,
    one_hot: bool = False,
    key_from: str = KEY,
    concurrency: int = 4,
    rate: float = 0.0,
    progress: Progress | None = None,
) -> Report:
    """Ask a running vLLM, SGLang or llama.cpp server, and say whether it is right and how fast it is.

    `against`: the same model without speculation; `prompts`: a file, one a line; `requests` to each server, `tokens` an answer,
    at `temperatures` in turn; no more than `budget_tokens` of answers and `budget_s` seconds. `one_hot`: the server drafts its
    best token, so that single seeded tokens can prove a fault. Raises NoInputError where nothing that can be judged is
    answered, UsageError for figures out of range.
    """
    if requests < 1 or tokens < 4 or not temperatures:
        raise UsageError(
            "probe needs requests >= 1, tokens >= 4 and a temperature", "leave them out for 30, 64 and three"
        )

    def client(address: str) -> Client:
        return Client(address, key_from=key_from, concurrency=concurrency, rate=rate)

    plan = Plan(tuple(_prompts(prompts)), requests, tokens, budget_tokens, budget_s, tuple(dict.fromkeys(temperatures)))
    other = None if against is None else client(against)
    return typed(_probe(client(url), plan, other, one_hot=one_hot, progress=progress or _silent))


def _silent(what: str, done: int, total: int) -> None:
    pass


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
    table: Table | None = None,
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
    made = attach(compose(first, found, CHECKS, ids=ids), traffic, asked)
    if asked and found.audit is None:
        made = attach_counts(made, found, asked)
    if table is not None:
        sources, keep = opened_and_filtered(inputs, format, span, ())
        made = with_ids(made, judge(answers(sources, keep), table), table)
    return typed(made, Kept(paths_of(inputs)[0], first, found))

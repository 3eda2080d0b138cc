"""The probe: ask, read counters before and after, score what came back, say in one report whether the server is right, and how fast."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from sdtrace.audit.live import Live, figures
from sdtrace.errors import NoInputError
from sdtrace.pipeline import diagnosis_and_report
from sdtrace.probe.ask import OTHER_SEED, Answers, Plan, ask
from sdtrace.probe.comparison import Comparison, as_document, compared
from sdtrace.probe.others import another_stream
from sdtrace.probe.scored import as_document as scored_document
from sdtrace.probe.scored import causes, concluded, outcomes
from sdtrace.probe.section import headline, section
from sdtrace.probe.two_sample import WORDS
from sdtrace.replay.engine.client import Client, Engine, known
from sdtrace.replay.engine.dialects import narrowed
from sdtrace.replay.engine.run import EngineReplay
from sdtrace.replay.engine.score import Text, comparable, scores
from sdtrace.responses.readings import power
from sdtrace.responses.streams import Stream, streams
from sdtrace.responses.texts import Texts
from sdtrace.results.cause import Cause, joined, make
from sdtrace.results.explains import with_incident
from sdtrace.results.headline import Headline
from sdtrace.results.not_checked import without
from sdtrace.results.report import Report, leaving
from sdtrace.schema.responses import Response, responses

Progress = Callable[[str, int, int], None]
_LOGPROBS = "the server has to hand out logprobs (vLLM: --max-logprobs 20 is the default; SGLang: return_logprob)"


@dataclass
class Probe:
    """What a probe found. `texts`: the answers against their own logprobs; `scored`: against the engine's scores of the same ids."""

    engine: Engine
    answers: Answers
    texts: Texts
    live: Live
    scored: EngineReplay | None = None
    against: Comparison | None = None
    stream: tuple[int, float] | None = None
    others: list[Cause] = field(default_factory=list)

    def streams(self) -> list[Stream]:
        """What seeds say of the answers, and of those that were scored because they came without logprobs."""
        return [*streams(self.texts), *(streams(self.scored.scored.texts) if self.scored is not None else ())]


def probe(
    client: Client,
    plan: Plan,
    against: Client | None = None,
    *,
    one_hot: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Report:
    """Ask and judge. Raises NoInputError where the server answers nothing that can be judged."""
    engine = known(client)
    live = Live(client.shown)
    _scrape(client, live)
    engine, answers = _asked(client, engine, plan, lambda done, total: progress("asking", done, total))
    _scrape(client, live)
    if not answers.rows:
        why = answers.left_out.most_common(1)[0][0] if answers.left_out else "no answer"
        raise NoInputError(f"{client.shown}: nothing to judge: {why}", client.hint or _LOGPROBS)
    texts = Texts(one_hot=one_hot)
    texts.add(answers.table(client.shown))
    found = Probe(engine, answers, texts, live)
    found.scored = _scored(client, engine, answers, progress)
    if found.scored is not None:
        found.scored.scored.texts.one_hot = one_hot
    if not any(one.recognised for one in found.streams()):
        found.stream = another_stream(_rows(found, responses(answers.table(client.shown))))
    if against is not None:
        others = replace(plan, seed=OTHER_SEED)
        _, theirs = _asked(
            against, known(against), others, lambda done, total: progress("asking the other server", done, total)
        )
        found.against = compared(answers, theirs, against.shown)
    return _report(found, client)


def _asked(client: Client, engine: Engine, plan: Plan, progress: Callable[[int, int], None]) -> tuple[Engine, Answers]:
    """The answers; of a server that refuses to list so many tokens, those with fewer, and how it has to be asked."""
    answers = ask(client, engine, plan, progress)
    while not answers.rows and (less := narrowed(engine, client)) is not None:
        engine = less
        answers = ask(client, engine, plan, progress)
    return engine, answers


def _rows(probe: Probe, rows: Iterable[Response]) -> list[Response]:
    """The answers; those that came without some logprob with the scored ones."""
    lists = iter(probe.scored.scored.rows if probe.scored is not None else ())
    made = []
    for row in rows:
        known = next(lists, None) if _scorable(row["prompt_token_ids"], row["token_ids"]) else None
        made.append(cast("Response", {**row, **known}) if known and None in row["logprobs"] else row)
    return made


def _scorable(prompt: Sequence[int] | None, tokens: Sequence[int]) -> bool:
    return bool(prompt) and min(tokens) >= 0


def _scrape(client: Client, live: Live) -> None:
    """Counters of the engine, where it has any."""
    text = client.get("/metrics")
    if text is not None:
        live.take(text.decode("utf-8", "replace"), time.time())


def _scored(client: Client, engine: Engine, answers: Answers, progress: Progress) -> EngineReplay | None:
    """The answers scored by the engine; None where their prompts are known as text only."""
    texts = []
    for row in answers.rows:
        if not _scorable(row.get("prompt_token_ids"), row["token_ids"]):
            continue
        prompt, tokens = row["prompt_token_ids"], row["token_ids"]
        whole = {**dict.fromkeys(("top_k", "top_p", "min_p", "repetition_penalty", "steered", "basis")), **row}
        told = zip(range(len(prompt), len(prompt) + len(tokens)), row["logprobs"], strict=True)
        recorded = {i: v for i, v in told if v is not None} if comparable(whole) else {}
        # draws are held against the answer's own rows; where some are missing, against the scored ones
        seed = row.get("seed") if None in row["logprobs"] else None
        texts.append(Text([*prompt, *tokens], len(prompt), row | {"path": client.shown, "seed": seed}, recorded))
    if not texts:
        return None
    found = scores(client, engine, texts, None, progress)
    return EngineReplay(client.shown, engine, found, len(texts), found.left_out)


def _report(probe: Probe, client: Client) -> Report:
    """The report of the answers and counters, with what the probe adds."""
    audit = probe.live.audit()
    audit.texts = probe.texts
    if not audit.windows.height:
        audit.inputs[0] = replace(audit.inputs[0], format="responses", records=len(probe.answers.rows))
    _, report = diagnosis_and_report(audit, {})
    rows = _causes(probe)
    document = dict(report.document)
    taken = {row["cause"] for row in document["causes"]}
    document["causes"] = [*(row.row() for row in rows if row.cause not in taken), *document["causes"]]
    if probe.scored is not None:
        document["replay"] = scored_document(probe.scored)
    document["probe"] = _document(probe, client)
    document["verdict"], spoken = _verdict(document, report.headline, rows, probe.scored)
    gone = (
        ("replay", "logprobs", "target-p", "counts-target-p", "counts-decisions")
        if probe.scored is not None
        else ("counts-decisions",)
    )
    document = with_incident(document, spoken)
    told = leaving(replace(report, document=document), without(report.not_checked, *gone))
    return replace(told, sections=[section(document["probe"]), *report.sections])


def _causes(probe: Probe) -> list[Cause]:
    rows = causes(probe.scored) if probe.scored is not None else []
    if probe.stream is not None:
        shift, log_e = probe.stream
        says = f"seeded answers are drawn with the stream of the request {abs(shift)} {'after' if shift > 0 else 'before'} them"
        row = make("text-not-from-target", "statistical", [], outcomes(probe.texts), f"{says} (e-value {power(log_e)})")
        rows = joined([row], rows)
    if (other := probe.against) is not None and other.suspected:
        label = f"sampled answers of the two servers are not drawn alike: {WORDS[other.loudest]} differ (p-value {other.p:.1g})"
        row = make("text-not-from-target", "suspected", [], outcomes(probe.texts), label)
        rows = joined(rows, [row])
    if other is not None and other.parted - other.ties - other.untold > 0:
        n, beyond = other.pairs, other.parted - other.ties - other.untold
        label = f"greedy answers of the two servers part beyond a near tie in {beyond:,} of {n:,}"
        row = make("greedy-mismatch", "suspected", [], outcomes(probe.texts), label)
        rows = joined(rows, [replace(row, evidence=tuple(other.gaps[:8]))])
    return rows


def _document(probe: Probe, client: Client) -> dict[str, Any]:
    answers, now = probe.answers, figures(probe.live.windows())
    other = probe.against
    return {
        "url": client.shown, "engine": probe.engine.name, "engine_version": probe.engine.version, "model": probe.engine.model,
        "requests": len(answers.rows), "tokens": answers.tokens, "seconds": answers.wall_s, "concurrency": client.concurrency,
        "left_out": dict(answers.left_out),
        "tokens_per_second_per_request": answers.speed(),
        "tokens_per_step": now.tokens_per_step, "acceptance": now.rate, "speculates": bool(now.drafts),
        "speed_up": None if other is None else other.speed,
        "stream_of_another_request": None if probe.stream is None else {"requests_away": probe.stream[0], "log_e": probe.stream[1]},
        "against": None if other is None else as_document(other),
    }  # fmt: skip


def _verdict(
    document: dict[str, Any], base: Headline | None, rows: list[Cause], scored: EngineReplay | None
) -> tuple[dict[str, Any], str | None]:
    verdict, spoken = concluded(document, base, scored, rows)
    return verdict | {"headline": f"{verdict['headline']}; {headline(document['probe'])}"}, spoken

"""What ids show of corrupt text, as part of a report: `document["ids"]`, a section, the cause corrupt-text."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sdtrace.responses.ids.judge import Judged, Weighed
from sdtrace.responses.ids.signs import SAYS, Answer
from sdtrace.responses.ids.table import Table
from sdtrace.results.cause import Cause, joined
from sdtrace.results.explains import with_incident
from sdtrace.results.report import Report, Section
from sdtrace.results.words import Certainty

_ADVICE = (
    "read the answers named; ask their prompts again without speculation, and compare (record prompt_token_ids of both)"
)


def with_ids(report: Report, judged: Judged, table: Table | None) -> Report:
    """The report with what the ids show. The base verdict stands where it is worse."""
    rows = joined([], _causes(judged))
    document = dict(report.document)
    document["ids"] = as_document(judged, table)
    known = {row["cause"] for row in document["causes"]}
    fresh = [row for row in rows if row.cause not in known]
    sure = [row.row() for row in fresh if row.certainty != "suspected"]
    document["causes"] = [*sure, *document["causes"], *(row.row() for row in fresh if row.certainty == "suspected")]
    document["verdict"], spoken = _verdict(document["verdict"], rows)
    document = with_incident(document, spoken)
    return replace(report, document=document, sections=[*report.sections, section(document["ids"])])


def _causes(judged: Judged) -> list[Cause]:
    found = []
    for row in judged.signs.values():
        proof = row.proved
        if proof is None and not row.suspicious:
            continue
        where = _where(row)
        if proof is not None:
            says = (
                f"{SAYS[row.sign]}, more often with {proof.here} than {_than(proof.here, proof.other)}: in {proof.more:,} prompts, "
                f"and less often in {proof.fewer:,}, of {proof.prompts:,} that both answered"
            )
        else:
            says = f"{SAYS[row.sign]}: in {row.suspicious:,} of {row.known:,} answers{where}"
        evidence = tuple(_witness(one, place) for one, place in row.witnesses)
        certainty: Certainty = "suspected" if proof is None else "statistical"
        found.append(
            Cause("corrupt-text", "wrong", certainty, (), says, evidence, _ADVICE, "scheduler", row.suspicious)
        )
    found.sort(key=lambda cause: (cause.certainty == "suspected", -cause.weight))
    if len(found) > 1:  # one cause, in words of all its signs
        head = found[0]
        more = "; ".join(cause.headline for cause in found[1:])
        evidence = tuple(row for cause in found for row in cause.evidence)[:8]
        found = [replace(head, beside=(*head.beside, f"also {more}"), evidence=evidence)]
    return found


def _than(here: str, other: str) -> str:
    return "without it, on the same prompts" if here == "speculation" else f"with {other}"


def _where(row: Weighed) -> str:
    """`, all of them with speculation` where one slice has all of at least four, and the other is not small."""
    told = {name: (with_, of) for name, with_, of in row.slices}
    for one, other in (
        ("with speculation", "without speculation"),
        ("prefix in the cache", "no prefix in the cache"),
        ("without speculation", "with speculation"),
        ("no prefix in the cache", "prefix in the cache"),
    ):
        mine, theirs = told.get(one), told.get(other)
        if mine and theirs and mine[0] >= 4 and theirs[0] == 0 and (mine[1] / (mine[1] + theirs[1])) ** mine[0] < 1e-3:
            return f", all of them {one}"
    return ""


def _witness(one: Answer, place: int | None) -> dict[str, Any]:
    row = {"path": one.path, "run_id": one.run_id, "request_id": one.request_id}
    return row if place is None else row | {"token": place}


def _verdict(base: Mapping[str, Any], rows: list[Cause]) -> tuple[dict[str, Any], str | None]:
    """The verdict, and the cause that its headline speaks of where the ids show that cause."""
    verdict = dict(base)
    sure = [row for row in rows if row.certainty != "suspected"]
    if sure and base["state"] != "wrong":
        blame = list(dict.fromkeys([*(row.blame for row in sure), *base["blame"]]))
        return verdict | {"state": "wrong", "headline": sure[0].headline, "blame": blame}, sure[0].cause
    if rows and base["state"] == "healthy":
        verdict |= {"state": "cannot-tell", "headline": f"suspected only: {rows[0].headline}"}
    return verdict, None


def as_document(judged: Judged, table: Table | None) -> dict[str, Any]:
    """Plain values; what could not be looked for is not there."""
    return {
        "tokenizer": None if table is None else table.name,
        "answers": judged.answers,
        "tokens": judged.tokens,
        "table_fits": None if table is None else not judged.foreign,
        "prompts_with_and_without_speculation": judged.matched,
        "signs": [
            {
                "sign": row.sign, "says": SAYS[row.sign], "looked_at": row.known, "answers": row.answers, "count": row.count,
                "suspicious": row.suspicious,
                "compared": [
                    {"here": c.here, "other": c.other, "prompts": c.prompts, "more": c.more, "fewer": c.fewer, "chance": c.chance}
                    for c in row.compared
                ],
                "slices": [{"where": name, "with_sign": n, "answers": of} for name, n, of in row.slices],
            }
            for row in judged.signs.values()
        ],
    }  # fmt: skip


def section(d: Mapping[str, Any]) -> Section:
    """The figures in one table."""
    rows: list[list[Any]] = []
    for row in d["signs"]:
        rows.append([row["says"], row["looked_at"], row["answers"], row["suspicious"]])
        for c in row["compared"]:
            rows.append([f"  {c['here']} against {c['other']}: more in, fewer in", c["prompts"], c["more"], c["fewer"]])
    says = f"{d['answers']:,} answers of {d['tokens']:,} tokens were looked at by their ids."
    if d["table_fits"] is False:
        says += " The tokenizer's table lacks many of the ids: it is another model's, and nothing but the endings was judged."
    if not d["prompts_with_and_without_speculation"]:
        says += " No prompt was answered both with speculation and without: what is found is suspected, not proved."
    return Section("ids", "Text by its ids", says, ["sign", "looked at", "with it", "suspicious"], rows)

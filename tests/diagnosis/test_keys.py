"""Steps under one key: the same again is no fault, others are a finding whose kind is told by comparing them."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import report
from sdtrace.simulate import Settings
from sdtrace.writers.convert import line
from tests.made.pairs import one_of
from tests.power.judge import made

Row = dict[str, Any]


@cache
def rows(seed: int = 1, requests: int = 24) -> list[Row]:
    """The lines of a healthy trace, with contexts; requests of one number have the same prompt in every trace."""
    found: list[Row] = []
    for b in made(Settings(tested=4 * 15 * requests, vocab=64, level="draws", seed=seed)).held:
        for name, frame in (("run", b.runs), ("request", b.requests), ("step", b.steps)):
            found += [json.loads(line(name, row)) for row in frame.iter_rows(named=True)]
    context: dict[str, int] = {}
    for row in found:
        if row["kind"] == "step":
            number = int(row["request_id"][1:])
            row["context_len"] = context.get(row["request_id"], 100 + 7 * number)
            row["at"] = 1.8e9 + 100.0 * number + 0.03 * row["step"]
            context[row["request_id"]] = row["context_len"] + len(row["output_token_ids"])
    return [r for r in found if r["kind"] == "run" or int(r["request_id"][1:]) < requests]


def steps(found: list[Row]) -> list[Row]:
    return [row for row in found if row["kind"] == "step"]


def answers() -> list[list[Row]]:
    one, other = rows(1), steps(rows(2))
    return [sorted([*one, *other], key=lambda r: r.get("at") or 0.0)]


def untimed() -> list[list[Row]]:
    return [[r | {"at": None} if r["kind"] == "step" else r for r in [*rows(1), *steps(rows(2))]]]


def shifted(found: list[Row], seconds: float, more: Callable[[Row], int] = lambda row: 0) -> list[Row]:
    return [r | {"at": r["at"] + seconds, "context_len": r["context_len"] + more(r)} for r in steps(found)]


def retry() -> list[list[Row]]:
    """A third of the requests break off and are run again."""
    one = [r for r in rows(1) if r["kind"] != "step" or int(r["request_id"][1:]) % 3 or r["step"] < 5]
    again = [r for r in rows(2) if r["kind"] == "step" and not int(r["request_id"][1:]) % 3]
    return [[*one, *shifted(again, 60.0)]]


def session() -> list[list[Row]]:
    return [[*rows(1), *shifted(rows(2), 50.0, lambda r: 400)]]


def reused() -> list[list[Row]]:
    return [[*rows(1), *shifted(rows(2), 50.0, lambda r: -60)]]


def engines() -> list[list[Row]]:
    return [[r for r in rows(seed) if r["kind"] != "run"] for seed in (1, 2)]


def side_by_side() -> list[list[Row]]:
    return [sorted([*rows(1), *shifted(rows(2), 0.01, lambda r: 33)], key=lambda r: r.get("at") or 0.0)]


def disagreeing() -> list[list[Row]]:
    """Rank 1 keeps another token in every twentieth step."""
    one = [r | {"rank": 0} if r["kind"] == "step" else r for r in rows(1)]
    other = [r | {"rank": 1} for r in steps(one)]
    wrong = [
        r | {"output_token_ids": [*r["output_token_ids"][:-1], r["output_token_ids"][-1] ^ 1]} if i % 20 == 3 else r
        for i, r in enumerate(other)
    ]
    return [one, wrong]


KINDS: dict[str, tuple[Callable[[], list[list[Row]]], str]] = {
    "answers": (answers, "n > 1) side by side"),
    "again": (untimed, "no step has a time"),
    "retry": (retry, "retry"),
    "session": (session, "session"),
    "reused": (reused, "reused"),
    "engines": (engines, "two engines"),
    "engines in one file": (side_by_side, "two engines"),
}


def told(inputs: list[list[Row]], folder: Path) -> Row:
    paths = []
    for number, records in enumerate(inputs):
        paths.append(folder / f"{number}.jsonl")
        paths[-1].write_text("".join(json.dumps(row) + "\n" for row in records))
    return report(paths).document


@pytest.mark.one_of(4)
@pytest.mark.parametrize("kind", one_of(2, KINDS))
def test_steps_that_differ_under_one_key_are_a_finding_of_the_record(kind: str, tmp_path: Path) -> None:
    make, says = KINDS[kind]
    document = told(make(), tmp_path)
    assert [c["cause"] for c in document["causes"]] == ["record-broken"]
    (cause,) = document["causes"]
    assert cause["side"] == "metric"
    assert says in cause["headline"]
    assert document["record"]["keys"] == "conflicting"
    assert cause["evidence"][0]["kind"] == kind.split(" ")[0]


@pytest.mark.slow
def test_ranks_that_disagree_are_the_engine_s_fault(tmp_path: Path) -> None:
    document = told(disagreeing(), tmp_path)
    (cause,) = document["causes"]
    assert (cause["cause"], cause["side"], cause["certainty"]) == ("decision-mismatch", "wrong", "proved")
    assert "ranks" in cause["headline"]


@pytest.mark.slow
def test_a_fault_is_named_although_its_steps_stand_twice(tmp_path: Path) -> None:
    """Copies are no other answers: what follows what is known, in one file with its copy and in two."""
    late = max(r["step"] for r in steps(rows(1))) // 3
    one = [r | {"context_len": r["context_len"] + 3} if r.get("step", 0) > late else r for r in rows(1)]
    causes = {c["cause"] for c in told([one], tmp_path)["causes"]}
    assert causes
    for inputs in ([[*one, *steps(one)]], [one, one]):
        assert {c["cause"] for c in told(inputs, tmp_path)["causes"]} == causes


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [False, True])
def test_the_same_step_again_is_no_fault(ranks: bool, tmp_path: Path) -> None:
    one = rows(1)
    again = [r | {"rank": 1} if ranks else r for r in steps(one)]
    one = [r | {"rank": 0} if ranks and r["kind"] == "step" else r for r in one]
    for number, inputs in enumerate(([[*one, *again]], [one, again])):
        folder = tmp_path / str(number)
        folder.mkdir()
        document = told(inputs, folder)
        assert document["causes"] == []
        assert document["record"]["keys"] == "repeated"


@pytest.mark.parametrize("others", [1, 30], ids=["of one kind", "of thirty kinds"])
@pytest.mark.parametrize("seed", [1, 2], ids=["the same", "others"])
def test_repeated_steps_are_counted_behind_thousands_of_other_losses(seed: int, others: int, tmp_path: Path) -> None:
    """Each loss has words of its own: beyond the first 2,000 only its kind says what it is."""
    path = tmp_path / "trace.jsonl"
    there = {(row["request_id"], row["step"]) for row in steps(rows(1))}
    more = [row for row in steps(rows(seed)) if (row["request_id"], row["step"]) in there][:200]
    broken = ['{"kind": "step", ' + '"a": 1, ' * (n % others) + '"req' for n in range(2100)]
    path.write_text("\n".join([*map(json.dumps, rows(1)), *broken, *map(json.dumps, more)]) + "\n")
    found = report(path).document
    again = [n for n in found["verdict"]["not_checked"] if "under a key that was there before" in n]
    assert again == ["200 steps under a key that was there before: each key counts once"]
    assert sum(x["count"] for x in found["inputs"][0]["losses"]) == 2300
    assert ("record-broken" in {c["cause"] for c in found["causes"]}) == (seed != 1)

"""Corrupt text by its ids: six planted faults are named, what sound engines write is not."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import report
from sdtrace.errors import UsageError
from sdtrace.responses.ids.judge import judge
from sdtrace.responses.ids.signs import Answer, signs
from sdtrace.responses.ids.table import Table, read_table
from tests.made.pairs import one_of
from tests.made.tokens import NEVER, TOOL, Tokenizer

PROSE = [
    "Die Größe der Datei beträgt 48213 Bytes, siehe max_file_size und ParseHeader im Modul.",
    "Файл request_id=90412 не найден; проверьте openFileStream и повторите попытку.",
    "在第 73155 行使用 readBuffer 和 GPU 加速,可以提高速度。",
    "def load_table(path_name): return parseTable(path_name, limit=65536)  # Δt in µs, naïve café",
    "המספר 55120 נמצא בתוך hash_table של התוכנה.",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Table, list[list[int]]]:
    """A tokenizer, its table as read from its file, and the ids of some texts."""
    tokenizer = Tokenizer()
    texts = [tokenizer.encode(text, lone=0.3) for text in PROSE]
    for word in ("привет", "9", " 4821", " max_file", "_sise"):
        tokenizer.encode(word, lone=0.0)
    return tokenizer, read_table(str(tokenizer.write(tmp_path_factory.mktemp("tokens")))), texts


def one(ids: list[int], table: Table, **more: Any) -> dict[str, int]:
    """The signs of one answer that are there."""
    return {name: n for name, n in signs(Answer("r", "a", stretches=[ids], **more), table).counts.items() if n}


def test_sound_answers_have_no_sign(made: tuple[Tokenizer, Table, list[list[int]]]) -> None:
    tokenizer, table, texts = made
    for ids in texts:
        assert one([*ids, tokenizer.ids["<|im_end|>"]], table, prompt=[0, *ids]) == {}
        for cut in range(1, len(ids)):  # a character that a cut divides is whole on the other side
            assert one(ids[:cut], table) == {}
            assert one(ids[cut:], table) == {}
    tool = tokenizer.ids[TOOL]
    assert one([*texts[0], tool, *texts[1]], table) == {}
    first = tokenizer.ids[NEVER]
    assert one([*texts[0], first, *texts[1]], table, prompt=[first, 5, first, 9]) == {}, "the prompt has it too"


def test_steps_that_are_missing_break_no_character(made: tuple[Tokenizer, Table, list[list[int]]]) -> None:
    tokenizer, table, _ = made
    lone = [tokenizer.ids[f"<0x{b:02X}>"] for b in "день".encode()]
    assert signs(Answer("r", "a", stretches=[lone[:3], lone[4:]]), table).counts == {}
    assert signs(Answer("r", "a", stretches=[lone[:3] + lone[4:]]), table).counts == {"broken": 1}


def in_word(tokenizer: Tokenizer, ids: list[int]) -> list[int]:
    """A Cyrillic piece between two Latin ones of a word, twice."""
    piece = tokenizer.encode("привет", lone=0.0)
    latin = [tokenizer.ids.setdefault(word, len(tokenizer.ids)) for word in ("func", "tion", "para", "meter")]
    return [*ids, latin[0], *piece, latin[1], *tokenizer.encode(" ", lone=0.0), latin[2], *piece, latin[3]]


def test_signs_of_single_answers(made: tuple[Tokenizer, Table, list[list[int]]], tmp_path: Path) -> None:
    tokenizer, _, texts = made
    ids = texts[3]
    scripts = in_word(tokenizer, ids)
    table = read_table(str(tokenizer.write(tmp_path)))
    lone = tokenizer.ids["<0xD0>"]
    first = tokenizer.ids[NEVER]
    assert one([*ids, first, *ids], table) == {"control": 1}
    assert one([*ids, 10**6, *ids], table) == {"no-entry": 1}
    assert one(scripts, table) == {"script": 2}
    assert one([*ids, lone, *ids, lone, *ids], table) == {"broken": 2}
    wrong = tokenizer.encode("see 48213 and max_file_sise", lone=0.0)
    table = read_table(str(tokenizer.write(tmp_path)))
    assert one(wrong, table, prompt=texts[0]) == {"copy": 1}
    assert one(texts[0], table, finish="length") == {"length": 1}


Fault = Callable[[list[int], Tokenizer, random.Random], tuple[list[int], str]]


def _insert(token: Callable[[Tokenizer], list[int]], times: int = 1) -> Fault:
    def fault(ids: list[int], tokenizer: Tokenizer, rng: random.Random) -> tuple[list[int], str]:
        for _ in range(times):
            at = rng.randrange(2, len(ids) - 2)
            ids = [*ids[:at], *token(tokenizer), *ids[at:]]
        return ids, "stop"

    return fault


FAULTS: dict[str, tuple[str, Fault]] = {
    "control": ("middle of the answer", _insert(lambda t: [t.ids[NEVER]])),
    "no-entry": ("table does not have", _insert(lambda t: [999_999])),
    "script": ("another script", lambda ids, t, rng: (in_word(t, ids), "stop")),
    "broken": ("no character", _insert(lambda t: [t.ids["<0xD0>"]], 4)),
    "copy": ("one character wrong", lambda ids, t, rng: (ids + t.encode(f" see 4{rng.randrange(3, 9)}213", lone=0.0), "stop")),
    "length": ("length limit", lambda ids, t, rng: (ids + ids, "length")),
}  # fmt: skip
ALONE = ("control", "no-entry", "script", "broken")


def trace(folder: Path, fault: Fault | None, share: float, matched: bool, seed: int = 3) -> tuple[Path, Path]:
    """Forty prompts answered by a run with speculation and by one without; the fault is in the first."""
    tokenizer, rng = Tokenizer(seed), random.Random(seed)
    rows: list[dict[str, Any]] = [
        {"kind": "run", "format": 1, "run_id": name, "engine": "vllm", "target_model": "m", "rule": "one-hot", "method": method}
        for name, method in (("on", "ngram"), ("off", None))
    ]  # fmt: skip
    for n in range(40):
        asked = tokenizer.encode(f"{PROSE[n % 2 * 3]} {PROSE[n % len(PROSE)]} {PROSE[0]} case {n}", lone=0.0)
        for run in ("on", "off"):
            prompt = asked if matched or run == "on" else [*asked, 7]
            ids, finish = tokenizer.encode(PROSE[0] + PROSE[n % len(PROSE)], lone=0.0), "stop"
            if fault is not None and run == "on" and rng.random() < share:
                ids, finish = fault(ids, tokenizer, rng)
            name = f"{run}{n}"
            rows.append(
                {"kind": "request", "run_id": run, "request_id": name, "prompt_token_ids": prompt, "finish_reason": finish,
                 "temperature": 1.0, "max_tokens": 512}
            )  # fmt: skip
            for step in range(0, len(ids), 3):
                kept = ids[step : step + 3]
                drafted = (
                    {"draft_token_ids": kept[:2], "num_accepted": len(kept) - 1}
                    if run == "on"
                    else {"draft_token_ids": []}
                )
                rows.append(
                    {
                        "kind": "step",
                        "run_id": run,
                        "request_id": name,
                        "step": step // 3,
                        "output_token_ids": kept,
                        **drafted,
                    }
                )
    path = folder / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path, tokenizer.write(folder / "tokenizer")


def corrupt(path: Path, folder: Path) -> list[dict[str, Any]]:
    found = report(str(path), tokenizer=str(folder)).document
    return [cause for cause in found["causes"] if cause["cause"] == "corrupt-text"]


@pytest.mark.one_of(2)
@pytest.mark.parametrize("name", one_of(3, FAULTS))
def test_planted_faults_are_named(name: str, tmp_path: Path) -> None:
    """Proved where the same prompts were answered without speculation; without that, suspected where a sign speaks for itself."""
    says, fault = FAULTS[name]
    rows = corrupt(*trace(tmp_path, fault, 0.8, matched=True))
    assert len(rows) == 1
    assert rows[0]["certainty"] == "statistical"
    assert says in rows[0]["headline"]
    assert rows[0]["evidence"][0]["request_id"].startswith("on")
    rows = corrupt(*trace(tmp_path, fault, 0.8, matched=False))
    assert [row["certainty"] for row in rows] == (["suspected"] if name in ALONE else [])


@pytest.mark.slow
def test_sound_traffic_is_healthy_by_its_ids(tmp_path: Path) -> None:
    path, folder = trace(tmp_path, None, 0.0, matched=True)
    found = report(str(path), tokenizer=str(folder))
    assert [row for row in found.document["causes"] if row["cause"] == "corrupt-text"] == []
    assert found.document["ids"]["prompts_with_and_without_speculation"] == 40
    assert found.document["ids"]["table_fits"] is True
    assert any(section.id == "ids" for section in found.sections)


@pytest.mark.slow
def test_another_models_table_accuses_nobody(tmp_path: Path) -> None:
    path, folder = trace(tmp_path, None, 0.0, matched=True)
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}}}))
    found = report(str(path), tokenizer=str(folder)).document
    assert [row for row in found["causes"] if row["cause"] == "corrupt-text"] == []
    assert found["ids"]["table_fits"] is False


def answered(n: int, on: int, off: int, **more: Any) -> list[Answer]:
    """Prompts answered `n` times on each side, of which so many end at their length."""
    return [
        Answer(f"run{side}", f"{side}{p}-{i}", speculation=side, finish="length" if i < (on if side else off) else "stop", key=(p,), **more)
        for p in range(n) for side in (True, False) for i in range(3)
    ]  # fmt: skip


def test_copies_of_one_prompt_are_no_evidence() -> None:
    """Greedy copies differ all alike where one near-tie falls the other way: a prompt counts once."""
    copies = [
        Answer("r", f"{side}{i}", speculation=side, finish="length" if side else "stop", key=(1,))
        for side in (True, False)
        for i in range(300)
    ]
    assert judge(copies, None).signs["length"].proved is None
    assert judge(answered(40, 3, 0), None).signs["length"].proved is not None
    assert judge(answered(40, 1, 1), None).signs["length"].proved is None


@pytest.mark.slow
def test_what_a_lookup_drafted_is_no_arm(tmp_path: Path) -> None:
    """A lookup drafts where a text repeats itself: its requests without a draft are other texts, and no control."""
    path, folder = trace(tmp_path, None, 0.0, matched=True)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["run_id"] = "on"
        if row["kind"] == "request":
            row["finish_reason"] = "length" if row["request_id"].startswith("on") else "stop"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows if row != {"run_id": "off"}))
    assert corrupt(path, folder) == []


@pytest.mark.parametrize("text", [None, "{", "[]", '{"model": {"vocab": 3}}', '{"model": {"vocab": {"a": "x"}}}'])
def test_a_folder_without_a_table_is_refused(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(UsageError, match="--tokenizer"):
        read_table(str(tmp_path))


def test_tables_of_other_kinds(tmp_path: Path) -> None:
    """GPT-2's bytes as characters, and Unigram's list."""
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps({"model": {"vocab": {"Ġday": 0, "Ã©": 1}}, "decoder": {"type": "ByteLevel"}}))
    assert read_table(str(tmp_path)).bytes_of == {0: b" day", 1: "é".encode()}
    file.write_text(json.dumps({"model": {"vocab": [["<s>", 0.0], ["▁a", -1.0], ["<0x41>", -2.0]]}}))
    table = read_table(str(file))
    assert table.bytes_of == {0: b"<s>", 1: b" a", 2: b"A"}
    assert table.never == {0}

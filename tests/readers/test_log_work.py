"""How much work a log takes, counted: bytes are read once, lines of the usual form are looked at once, frames take so many queries."""

import itertools
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sdtrace.readers import open_inputs
from sdtrace.readers.io.source import Segment
from sdtrace.readers.logs import hits, prompts, vllm, vllm_lines
from sdtrace.readers.logs.by_line import BEFORE, by_line
from sdtrace.readers.logs.clock import without_year
from sdtrace.readers.logs.fields import fields

#: The usual lines, and what stands in their place when a release, a shipper or an accident changed them.
_LINES = (
    "(APIServer pid=7) INFO 11-23 15:00:01 [loggers.py:335] Engine 000: Avg prompt throughput: 7.0 tokens/s, Avg generation "
    "throughput: 68.2 tokens/s, Running: 3 reqs, Waiting: 1 reqs, GPU KV cache usage: 31.0%, Prefix cache hit rate: 12.5%",
    "(APIServer pid=7) INFO 11-23 15:00:01 [metrics.py:120] SpecDecoding metrics: Mean acceptance length: 1.67, Accepted "
    "throughput: 29.60 tokens/s, Drafted throughput: 88.00 tokens/s, Accepted: 296 tokens, Drafted: 880 tokens, Per-position "
    "acceptance rate: 0.523, 0.150, Avg Draft acceptance rate: 33.6%",
    "INFO 11-23 15:00:01 [metrics.py:82] SpecDecoding metrics: Draft acceptance rate: 33.6%, Mean acceptance length: 1.67, "
    "Accepted: 296 tokens, Drafted: 880 tokens, Per-position acceptance rate: 0.523, 0.150",
)
_BROKEN = (
    ("tokens/s", "tokens /s"), (", ", ","), ("1.67", "nan"), ("0.523, ", ""), ("Waiting", "Pending"), ("Engine 000: ", ""),
    (" pid=7)", " rank=1 pid=7 x)"), ("[", ""), ("15:00:01", "15:00"), ("(APIServer", "2026-11-23T15:00:01Z (Engine Core"),
    ("INFO", "pod-1 | INFO"), ("33.6%", "33."), ("Drafted: 880", "Drafted: \N{ARABIC-INDIC DIGIT EIGHT}80"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("patterns", "usual"),
    [
        (vllm_lines.FIELDS, vllm_lines.USUAL_FIELDS),
        (vllm_lines.ENGINE_FIELDS, vllm_lines.USUAL_ENGINE),
        ({name: getattr(vllm.DIALECT.envelope, name) for name in ("who", "where", "clock")}, vllm_lines.STAMPED),
    ],
)
def test_the_usual_form_holds_what_each_pattern_finds(patterns: dict[str, str], usual: str) -> None:
    texts = list(_LINES)
    for line, (old, new), (also, other) in itertools.product(_LINES, _BROKEN, _BROKEN):
        texts.append(line.replace(old, new).replace(also, other))
    rng = random.Random(0)
    texts += [line[: rng.randrange(len(line))] for line in _LINES for _ in range(60)]
    told = pl.Series("text", texts)
    once, singly = fields(told, patterns, usual), fields(told, patterns, None)
    for name in patterns:
        assert once[name].str.strip_suffix(", ").to_list() == singly[name].to_list(), name
    assert told.str.contains(usual).any()


def _written(path: Path, times: int) -> Path:
    stamped = [f"15:{i // 60 % 60:02}:{i % 60:02}" for i in range(times)]
    lines = [
        line.replace("15:00:01", at).replace("296", str(200 + i % 90))
        for i, at in enumerate(stamped)
        for line in _LINES[:2]
    ]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.mark.slow
def test_queries_do_not_grow_with_the_lines_of_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = 0
    collect = pl.LazyFrame.collect

    def counted(*args: Any, **named: Any) -> Any:
        nonlocal queries
        queries += 1
        return collect(*args, **named)

    monkeypatch.setattr(pl.LazyFrame, "collect", counted)
    taken = []
    for times in (100, 800):
        queries = 0
        windows = [
            b.windows for o in open_inputs([str(_written(tmp_path / f"{times}.log", times))]) for b in o.batches()
        ]
        assert sum(w.height for w in windows if w is not None) == 2 * times
        taken.append(queries)
    assert taken[1] == taken[0]
    assert taken[0] <= 150


@pytest.mark.one_of(3)
@pytest.mark.parametrize("many", [0, 1 << 20], ids=["needle by needle", "line by line"])
@pytest.mark.parametrize("block", [64, 200, 1 << 18])
def test_hits_are_the_lines_that_hold_a_needle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, many: int
) -> None:
    """In the middle of a large log: hits, and the nearest line before each that its dialect wants; every line is counted once."""
    monkeypatch.setattr(hits, "BLOCK", block)
    monkeypatch.setattr(hits, "MANY", many)
    monkeypatch.setattr(hits, "LARGE", 0)
    monkeypatch.setattr(hits, "EDGE", -1)
    monkeypatch.setattr(hits, "LINES", 40)
    monkeypatch.setattr(hits, "TURN", 3)
    rng = random.Random(block)
    kinds = (
        b"SpecDecoding metrics: 1",
        b"Speculative metrics",
        b"Avg prompt throughput",
        b"stage times",
        b"S",
        b"",
        b"x" * 90,
        b"Sp ec",
    )
    texts = [
        b" ".join(rng.choices(kinds, weights=(1, 1, 2, 2, 9, 9, 9, 3), k=rng.choice((1, 1, 2)))) for _ in range(900)
    ]
    path = tmp_path / "large.log"
    path.write_bytes(b"\n".join(texts))
    for sample in (b"", b"\n".join(texts), _ONE):
        told = list(hits.hits(Segment(path, 1), [vllm.DIALECT], sample))
        assert sum(count for _, count in told) == len(texts)
        rows = {line: text for frame, _ in told if frame is not None for line, text, _ in frame.iter_rows()}
        main = [n for n in vllm.DIALECT.main if n in sample]
        before = [n for n in vllm.DIALECT.before if n in sample or not main]
        expected = _expected(texts, main or vllm.DIALECT.main, before)
        assert {line for line, _ in expected} <= rows.keys()
        assert all(texts[line - 1].decode().rstrip() == text for line, text in rows.items())
        if block == 1 << 18:
            assert rows.keys() == {line for number, near in expected for line in (number, *near)}


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n", b"\r\n"])
def test_lines_searched_at_once_are_those_that_hold_a_needle(end: bytes) -> None:
    """By the plainest way: each line is asked for each needle. Bytes that are no text change nothing."""
    rng = random.Random(len(end))
    parts = (
        b"accept len",
        b"#acc (tokens",
        b"a.c",
        b"abc",
        b"ERROR ",
        b"",
        b" ",
        b"\xff\xfe",
        "\u00e9".encode(),
        b"\r",
        b"stage",
    )
    needles, before, alarms, telling = [b"accept len", b"a.c"], [b"stage", b"#acc (tokens"], [b"ERROR "], [b"abc"]
    for size in (1, 2, 40, 400):
        lines = [b"".join(rng.choices(parts, k=rng.randrange(4))) for _ in range(size)]
        text = b"\n".join(lines) + end
        whole = text.split(b"\n")[: None if not end.endswith(b"\n") and lines[-1] else -1]
        near = {line - 1 for _, wanted in _expected(whole, needles, before) for line in wanted}
        told = {i for i, line in enumerate(whole) if b"ERROR " in line and b"abc" in line}
        hit = {i for i, line in enumerate(whole) if any(n in line for n in needles)}
        found, count = by_line(text, needles, before, alarms, telling)
        assert count == len(whole)
        assert found == [(i, whole[i]) for i in sorted(hit | near | told)]
        assert by_line(text, needles)[0] == [(i, whole[i]) for i in sorted(hit)]


def test_openings_of_prompts_are_those_of_the_plain_pattern() -> None:
    """Quotes that are looked up at once lead to the same places as the pattern, tried at every byte."""
    rng = random.Random(0)
    parts = (
        b"prompt", b"text", b"content", b"s", b"'", b'"', b" ", b":", b"=", b"b", b"\n", b"messages", b"input", b"\\", b", ", b"}",
        b"prompt: '", b'"text": "',
    )  # fmt: skip
    for _ in range(2_000):
        text = b"".join(rng.choices(parts, k=rng.randrange(1, 60)))
        stop = rng.choice((len(text), len(text) // 2))
        plain = [(i, m.end()) for i in range(stop) if (m := prompts._OPENS.match(text, i, stop))]
        assert list(prompts._openings(text, stop)) == plain


@pytest.mark.parametrize("second", [0, 59, 60, 61, 99])
def test_stamps_without_a_year_are_read_as_strptime_reads_them(second: int) -> None:
    newest = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    for month, day, hour in itertools.product((0, 1, 2, 3, 12, 13), (0, 1, 28, 29, 31, 32), (0, 23, 24)):
        stamp = f"{month:02}-{day:02} {hour:02}:59:{second:02}"
        # a blank more is not the usual form: strptime reads it
        assert without_year(stamp, newest) == without_year(stamp.replace(" ", "  "), newest)


def test_announcements_are_found_in_the_middle_of_a_large_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond LARGE a level betrays them; warnings that announce nothing are passed."""
    monkeypatch.setattr(hits, "LARGE", 0)
    monkeypatch.setattr(hits, "EDGE", -1)
    head = "(EngineCore_DP0 pid=9) {} 11-23 10:00:00 [{}] "
    told = (
        head.format("WARNING", "vllm.py:101")
        + "Speculative decoding is not supported on this platform; it is disabled."
    )
    failed = head.format("ERROR", "core.py:7") + "EngineCore encountered a fatal error."
    idle = [head.format("WARNING", "x.py:5") + f"slow client {n}" for n in range(300)]
    path = tmp_path / "large.log"
    path.write_text("\n".join([*_LINES[:2], *idle, told, *idle, failed, *_LINES[:2]]) + "\n")
    rows = [frame for frame, _ in hits.hits(Segment(path, 1), [vllm.DIALECT], b"") if frame is not None]
    texts = [text for frame in rows for text in frame["text"]]
    assert [text for text in texts if "pid=9" in text] == [told, failed]


_ONE = b"SpecDecoding Avg prompt throughput" + b"z" * 4000


def _expected(texts: list[bytes], needles: Sequence[bytes], before: Sequence[bytes]) -> list[tuple[int, list[int]]]:
    """Numbers of the lines with a needle, and of those before each that are wanted, by the plainest way."""
    found = []
    for i, text in enumerate(texts):
        if any(needle in text for needle in needles):
            near = range(max(0, i - BEFORE), i)[::-1]
            wanted = [next((j + 1 for j in near if needle in texts[j]), None) for needle in before]
            found.append((i + 1, [line for line in wanted if line is not None]))
    return found


@pytest.mark.parametrize("usual", [None, r"^(?P<a>x)(?P<b>y)"], ids=["one by one", "usual form"])
@pytest.mark.parametrize("texts", [[], ["xy"], ["-x", "xy", "q"]], ids=["no line", "usual", "odd"])
def test_fields_of_any_number_of_lines(usual: str | None, texts: list[str]) -> None:
    """Each field is there for every line, also where no line is left."""
    found = fields(pl.Series(texts, dtype=pl.String), {"a": "(x)", "b": "(y)"}, usual)
    assert found["a"].to_list() == ["x" if "x" in one else None for one in texts]
    assert found["b"].to_list() == ["y" if "y" in one else None for one in texts]


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    ("name", "most", "frames"),
    [("LINES", 40, 5), ("MUCH", 8_000, 7), ("LINES", 1 << 20, 1)],
    ids=["lines", "bytes", "few"],
)
def test_a_frame_ends_at_so_many_lines_or_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int, frames: int
) -> None:
    path = _written(tmp_path / "server.log", 100)
    monkeypatch.setattr(hits, "BLOCK", 256)
    monkeypatch.setattr(hits, name, most)
    made = [(frame, n) for frame, n in hits.hits(Segment(path, 1), [vllm.DIALECT])]
    told = [frame for frame, _ in made if frame is not None]
    assert len(told) == frames
    assert pl.concat(told)["line"].to_list() == list(range(1, 201))
    assert sum(n for _, n in made) == 200

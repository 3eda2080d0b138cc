"""Readers: every line is a record or a loss, whatever the damage."""

import json
import os
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sdtrace.errors import NoInputError, SdtraceError
from sdtrace.readers import open_inputs, refusals
from sdtrace.readers.detection import detect
from sdtrace.readers.io.source import source
from sdtrace.readers.registry import registered
from sdtrace.schema.trace import Batch, Loss

SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"


def step(request: str = "a", number: int = 0, **more: Any) -> dict[str, Any]:
    record = {
        "kind": "step",
        "request_id": request,
        "step": number,
        "draft_token_ids": [5, 9, 7],
        "draft_probs": [0.5, 0.8, 0.4],
        "target_probs": [0.6, 0.4, 0.9],
        "uniforms": [0.7, 0.9, 0.1],
        "num_accepted": 1,
        "output_token_ids": [5, 11],
    }
    return record | more


def read(path: Path) -> list[Batch]:
    batches = [b for opened in open_inputs([str(path)]) for b in opened.batches()]
    lines = sum(b.lines for b in batches)
    records = sum(b.runs.height + b.requests.height + b.steps.height + b.records for b in batches)
    assert lines == records + sum(loss.count for b in batches for loss in b.losses)
    return batches


def lines_of(path: Path, *lines: dict[str, Any] | bytes, end: bytes = b"\n") -> Path:
    path.write_bytes(b"\n".join(x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines) + end)
    return path


def losses(path: Path) -> list[Loss]:
    return [loss for b in read(path) for loss in b.losses]


def steps(path: Path) -> pl.DataFrame:
    return pl.concat([b.steps for b in read(path)])


@pytest.mark.one_of(8)
@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (b'{"kind":"step","request_id":"x","st', "not JSON"),
        (b'{"kind":"step","request_id":"\xff\xfe"}', "invalid UTF-8"),
        (b"[1, 2]", "expected a JSON object, got a list"),
        (b'{"kind":"stop"}', "kind is a string"),
        (b'{"step": 3}', "kind is null"),
        (b"", "blank line"),
        (step(number=1, num_accepted="two"), "num_accepted: expected an integer, got a string"),
        (step(number=1, num_accepted=1.5), "num_accepted: expected an integer, got 1.5"),
        (step(number=1, draft_probs="half"), "draft_probs: expected a list, got a string"),
        (step(number=1, draft_probs=[0.5]), "draft_probs has 1 entries for 3 drafted tokens"),
        (step(number=1, target_argmax_ids=[1] * 6), "target_argmax_ids has 6 entries for 3 drafted tokens"),
        (step(number=1, accepted=[True]), "accepted has 1 entries, 2 decisions were made"),
        (step(number=1, num_accepted=-1), "num_accepted is -1, below 0"),
        (step(number=-4), "step is -4, below 0"),
        (step(number=1, verified_len=2**40), "verified_len is 1099511627776, beyond any count"),
        (step(number=1, draft_token_ids=[10**30, 1, 2]), "draft_token_ids: integer beyond 64 bits"),
        (step(number=0), "duplicate of request 'a', step 0"),
        ({k: v for k, v in step(number=1).items() if k != "draft_token_ids"}, "draft_token_ids is missing"),
        ({k: v for k, v in step(number=1).items() if k != "request_id"}, "request_id is missing"),
    ],
)
def test_damage_is_a_loss_with_its_line(damage: dict[str, Any] | bytes, what: str, tmp_path: Path) -> None:
    path = lines_of(tmp_path / "t.jsonl", step(), damage, step("b"))
    found = losses(path)
    assert [loss.line for loss in found] == [2]
    assert found[0].what.startswith(what)
    assert steps(path)["request_id"].to_list() == ["a", "b"]
    assert steps(path)["line"].to_list() == [1, 3]


def test_a_truncated_last_line_is_told_as_such(tmp_path: Path) -> None:
    path = lines_of(tmp_path / "t.jsonl", step(), b'{"kind":"step","requ', end=b"")
    assert [(loss.line, loss.what) for loss in losses(path)] == [(2, "truncated last line")]


def test_a_whole_last_line_without_newline_is_a_record(tmp_path: Path) -> None:
    assert steps(lines_of(tmp_path / "t.jsonl", step(), step("b"), end=b"")).height == 2


def test_values_that_json_has_no_word_for_are_kept(tmp_path: Path) -> None:
    line = json.dumps(step(draft_probs=[float("nan"), 0.8, float("inf")], target_probs=["NaN", "-Infinity", 0.9]))
    found = steps(lines_of(tmp_path / "t.jsonl", line.encode()))
    q, p = found["draft_probs"][0], found["target_probs"][0]
    assert q.is_nan().to_list() == [True, False, False]
    assert q[2] == float("inf")
    assert p.is_nan().to_list() == [True, False, False]
    assert p[1] == float("-inf")


def test_unknown_keys_are_counted_and_null_is_absent(tmp_path: Path) -> None:
    path = lines_of(tmp_path / "t.jsonl", step(colour="red", graph=None), step("b", colour="blue"), step("c"))
    batches = read(path)
    notices = [n for b in batches for n in b.notices]
    assert [(n.what, n.count) for n in notices] == [("unknown key 'colour'", 2)]
    assert steps(path)["graph"].null_count() == 3


def test_words_that_look_like_null_hide_no_unknown_key(tmp_path: Path) -> None:
    path = lines_of(tmp_path / "t.jsonl", step("null", nullable=1), step("a:null", graph=None), step("c", nothing=":n"))
    assert {n.what: n.count for b in read(path) for n in b.notices} == {
        "unknown key 'nullable'": 1,
        "unknown key 'nothing'": 1,
    }
    assert steps(path)["request_id"].to_list() == ["null", "a:null", "c"]


def test_spaced_and_escaped_lines_among_requests_are_read_as_they_stand(tmp_path: Path) -> None:
    request = {"kind": "request", "request_id": "a:n", "tags": {"task": "x:null"}}
    spaced = json.dumps(step("a:n", 1, last_draft_prob=None), indent=1).replace("\n", "\t").encode()
    escaped = json.dumps(step("a", 2, last_draft_prob=None)).replace('"a"', '"a:\\u006eb"').encode()
    path = lines_of(tmp_path / "t.jsonl", step("a:n"), request, spaced, request, escaped, b"", step("z"))
    assert steps(path)["request_id"].to_list() == ["a:n", "a:n", "a:nb", "z"]
    assert steps(path)["line"].to_list() == [1, 3, 5, 7]
    assert [loss.what for loss in losses(path)] == ["blank line"]


def test_strings_with_colons_and_windows_lines_are_clean(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [step(f"cmpl:{i}:x", graph="a:b", note_free=None) for i in range(3)]
    path.write_bytes(b"\xef\xbb\xbf" + b"".join(json.dumps(r).encode() + b"\r\n" for r in rows))
    assert steps(path)["request_id"].to_list() == ["cmpl:0:x", "cmpl:1:x", "cmpl:2:x"]


def test_lone_surrogates_are_replaced_and_told(tmp_path: Path) -> None:
    path = lines_of(
        tmp_path / "t.jsonl", b'{"kind":"step","request_id":"a\\ud800","step":0,"draft_token_ids":[]}', step()
    )
    batches = read(path)
    assert [n.what for b in batches for n in b.notices] == ["lone surrogate replaced"]
    assert pl.concat([b.steps for b in batches])["request_id"].to_list() == ["a?", "a"]


@pytest.mark.slow
def test_a_megabyte_list_and_an_empty_draft(tmp_path: Path) -> None:
    long = list(range(200_000))
    path = lines_of(tmp_path / "t.jsonl", step(output_token_ids=long), {"kind": "step", "request_id": "k", "step": 0})
    found = steps(path)
    assert found["output_token_ids"].list.len().to_list() == [200_000, None]
    assert found["draft_token_ids"].list.len().to_list() == [3, 0]


def test_duplicates_are_found_across_batches_and_out_of_order(tmp_path: Path) -> None:
    from sdtrace.readers.trace.strict import Parsed
    from sdtrace.readers.trace.validate import Validator

    whole = steps(lines_of(tmp_path / "t.jsonl", *(step("a", i) for i in range(6))))
    validator = Validator("t")
    seen = [validator.batch(Parsed("t"), whole[rows], len(rows)) for rows in ([0, 1, 4], [2, 3], [1, 2, 5], [0, 4])]
    assert [b.steps["step"].to_list() for b in seen] == [[0, 1, 4], [2, 3], [5], []]


def test_folders_globs_and_strangers(tmp_path: Path) -> None:
    lines_of(tmp_path / "one.jsonl", step("a"))
    lines_of(tmp_path / "two.jsonl", step("b"))
    (tmp_path / "notes.txt").write_text("nothing of ours\n")
    (tmp_path / ".hidden").write_text("x")
    opened = open_inputs([str(tmp_path)])
    assert [o.format for o in opened] == ["unrecognised", "trace-jsonl", "trace-jsonl"]
    assert len(open_inputs([str(tmp_path / "*.jsonl")])) == 2
    assert sum(b.losses[0].count for o in opened[:1] for b in o.batches()) == 1
    with pytest.raises(NoInputError, match="unrecognised file format"):
        open_inputs([str(tmp_path / "notes.txt")])
    with pytest.raises(NoInputError, match="no such file"):
        open_inputs([str(tmp_path / "none")])


def test_exactly_one_reader_claims_each_sample() -> None:
    for path in sorted(SAMPLES.glob("*.*")):
        if path.suffix in (".md", ".ipynb"):
            continue
        claims = [name for name, why in refusals(source(str(path))).items() if why is None]
        assert len(claims) == 1, path
        assert claims[0] in registered()
    found = detect([str(SAMPLES / "transformers-greedy.jsonl.gz")], why=True)[0]
    assert found["engine"] == "transformers"
    assert "decisions at temperature 0" in found["judged"]
    assert set(found["refused"]) == set(registered()) - {"trace-jsonl"}


def test_broken_parquet_is_a_loss(tmp_path: Path) -> None:
    folder = tmp_path / "trace"
    folder.mkdir()
    pl.DataFrame([step()]).drop("kind").write_parquet(folder / "steps.parquet")
    assert steps(folder).height == 1
    data = (folder / "steps.parquet").read_bytes()
    (folder / "steps.parquet").write_bytes(data[:200] + b"\0" * 80 + data[280:])
    for b in read(folder):
        assert b.steps.height == 0 or not b.losses
    pl.DataFrame([step() | {"num_accepted": "two"}]).drop("kind").write_parquet(folder / "steps.parquet")
    assert "column num_accepted is String" in losses(folder)[0].what


def test_specspecs(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "run_id": ["r", "r"],
            "sequence_id": ["s", "s"],
            "step": [0, 1],
            "t": [0, 1],
            "draft_tokens": [[11, 12], [99, 21]],
            "acceptances": [[True, False], [True, True]],
            "k": [2, 2],
            "acceptance_length": [1, 2],
            "emitted_token": [99, 7],
        }
    ).with_columns(pl.col("t").cast(pl.Datetime("us")))
    frame.write_parquet(tmp_path / "drafts-1-00000.parquet")
    found = steps(tmp_path / "drafts-1-00000.parquet")
    assert found["draft_token_ids"].to_list() == [[11, 12], [21]]
    assert found["output_token_ids"].to_list() == [[11, 99], [21, 7]]
    assert found["num_accepted"].to_list() == [1, 1]


def test_mutated_files_never_raise(tmp_path: Path) -> None:
    """Bytes flipped, cut, doubled, inserted: an SdtraceError at the worst, and lines always add up."""
    rng = random.Random(7)
    good = b"".join(json.dumps(step(f"r{i % 3}", i)).encode() + b"\n" for i in range(12))
    run = json.dumps({"kind": "run", "run_id": "", "rule": "ratio"}).encode() + b"\n"
    path = tmp_path / "fuzz.jsonl"
    for _ in range(int(os.environ.get("SDTRACE_FUZZ", "2"))):
        data = bytearray(run + good)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(data))
            kind = rng.randrange(5)
            if kind == 0:
                data[at] = rng.randrange(256)
            elif kind == 1:
                del data[at : at + rng.randint(1, 60)]
            elif kind == 2:
                data[at:at] = rng.randbytes(rng.randint(1, 9))
            elif kind == 3:
                data[at:at] = data[at : at + rng.randint(1, 200)]
            else:
                data[at:at] = rng.choice([b"\n", b"\r\n", b"NaN", b"null", b'"', b"1e999", b"\\ud800", b"\0", b"}{"])
        path.write_bytes(bytes(data))
        try:
            read(path)
        except SdtraceError:
            continue

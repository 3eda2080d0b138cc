"""Kinds of damage that readers meet, each as small as it goes: one bad record is one loss, and what is sound beside it is read."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdtrace.api import report
from sdtrace.cli import run
from sdtrace.errors import NoInputError
from sdtrace.readers import counts, inputs
from sdtrace.readers.detection import detect
from sdtrace.readers.inputs import Input, add, book
from sdtrace.schema.trace import Batch, Loss, no_tables
from tests.made.pairs import in_turn

STEP = {
    "kind": "step",
    "request_id": "r",
    "step": 0,
    "draft_token_ids": [1, 2],
    "draft_probs": [0.5, 0.5],
    "target_probs": [0.6, 0.7],
    "uniforms": [0.1, 0.2],
    "num_accepted": 2,
    "output_token_ids": [1, 2, 3],
}
BIG, HUGE = "9" * 25, "9" * 5000


def _found(path: Path) -> dict[str, Any]:
    """The only input of a report; every line of it is accounted for, and nothing in it was a fault of ours."""
    (found,) = report(path).document["inputs"]
    lost = sum(x["count"] for x in found["losses"])
    assert found["lines"] == found["runs"] + found["requests"] + found["steps"] + found["records"] + lost
    assert not [x["what"] for x in found["losses"] if "reader error" in x["what"]]
    read: dict[str, Any] = found
    return read


@pytest.mark.one_of(6)
@pytest.mark.parametrize(
    ("line", "sound"),
    [
        (json.dumps(STEP | {"step": 1, "target_probs": [1e300, 1e308]}), True),
        (json.dumps(STEP | {"step": 1}).replace("0.6", "1e999"), True),
        (json.dumps(STEP | {"step": 1}).replace("0.6", BIG), True),
        (json.dumps(STEP | {"step": 1}).replace("0.6", "1" * 400), True),
        (json.dumps(STEP | {"step": 1}).replace("0.6", HUGE), True),
        (json.dumps(STEP).replace('"step": 0', f'"step": {BIG}'), False),
        (json.dumps(STEP | {"kind": "run", "config": None}).replace("null", "[" * 900 + "]" * 900), False),
        ('{"kind":"run","rule":"ratio","config":' + '{"a":' * 900 + "NaN" + "}" * 901, False),
        ('{"kind":"run","rule":"ratio","config":{"a":' + "[" * 100_000 + "}}", False),
    ],
)
def test_a_line_of_a_trace_is_kept_or_lost_alone(line: str, sound: bool, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps(STEP) + "\n" + line + "\n")
    found = _found(tmp_path / "t.jsonl")
    assert found["steps"] + found["runs"] == 1 + sound
    assert sum(x["count"] for x in found["losses"]) == 1 - sound


@pytest.mark.one_of(5)
@pytest.mark.parametrize("at", [-1.0, 1e13, 1e18, 1e300, 253402300800.0])
def test_a_time_of_no_calendar_is_left_out(at: float, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps(STEP | {"at": at}) + "\n" + json.dumps(STEP | {"step": 1, "at": 1e9}))
    found = _found(tmp_path / "t.jsonl")
    assert found["steps"] == 2
    assert [n["count"] for n in found["notices"] if "no Unix time" in n["what"]] == [1]
    (told,) = detect([str(tmp_path / "t.jsonl")])
    assert (told["from"], told["to"]) == (1e9, 1e9)


LOGS = {
    "llamacpp": "slot print_timing: id  0 | task 1 | draft acceptance = 0.50000 (   {n} accepted /    10 generated)",
    "round": "srv  slot      update: id  0 | task 1 | accepted {n}/ 9 draft tokens",
    "coin": "draft token {n} of sequence 0 (5, 'x') accepted",
    "lmdeploy": "SpecDecoding metrics: Draft acceptance rate: 50.00%, Mean acceptance length: 2.00, "
    "Accepted: {n} tokens, Drafted: 9 tokens",
    "sglang": "Finish: obj=1, out={{'meta_info': {{'id': 'a', 'spec_verify_ct': {n}, 'completion_tokens': 5}}}}",
    "list": "Finish: obj=1, out={{'meta_info': {{'id': 'a', 'spec_verify_ct': 1, 'spec_accept_histogram': [1,{n}]}}}}",
    "exponent": "Finish: obj=1, out={{'meta_info': {{'id': 'a', 'spec_verify_ct': {n}e-5, 'completion_tokens': 5}}}}",
    "vllm": "Speculative metrics: Draft acceptance rate: 0.500, System efficiency: 0.500, Number of speculative "
    "tokens: {n}, Number of accepted tokens: 5, Number of draft tokens: 9, Number of emitted tokens: 9.",
}


NUMBERS = {"7": "7", "big": BIG, "huge": HUGE, "zeros": "0" * 30 + "7", "raised": "²"}


@pytest.mark.one_of(10)
@pytest.mark.parametrize(("kind", "of"), in_turn(list(LOGS), list(NUMBERS), of=2))
def test_numbers_in_a_log(kind: str, of: str, tmp_path: Path) -> None:
    line, number = LOGS[kind], NUMBERS[of]
    sound = "2026-01-01 00:00:00 INFO SpecDecoding metrics: Mean acceptance length: 2.00, Accepted throughput: 1.00 tokens/s"
    (tmp_path / "a.log").write_text(f"{line.format(n=number)}\n{sound}\n")
    _found(tmp_path / "a.log")


def test_a_draft_length_of_thousands_of_digits(tmp_path: Path) -> None:
    head = "0.12.769.223 I spec common_specu: adding speculative implementation 'draft-simple'"
    line = "0.12.769.245 I spec common_specu: - n_max={}, n_min=0, p_min=0.000000"
    (tmp_path / "a.log").write_text(f"{head}\n{line.format('9' * 4400)}\n")
    _found(tmp_path / "a.log")


def test_a_counter_by_position_that_falls_below_zero(tmp_path: Path) -> None:
    """A damaged sample of one position is no trial of it: what stands at the others is judged."""
    lines = []
    for i in range(8):
        counts = {"drafts": 73 * i, "draft_tokens": 290 * i, "accepted_tokens": 175 * i}
        lines += [f"llamacpp:spec_decode_num_{n}_total {v} {1795453125000 + 5000 * i}" for n, v in counts.items()]
        for j, each in enumerate((60, 50, 40, 25)):
            value = -62135596801 if (i, j) == (5, 1) else each * i
            name = f'llamacpp:spec_decode_num_accepted_tokens_per_pos_total{{position="{j}"}}'
            lines.append(f"{name} {value} {1795453125000 + 5000 * i}")
    (tmp_path / "a.prom").write_text("\n".join(lines) + "\n")
    assert _found(tmp_path / "a.prom")["records"] >= 1


VALUES = ["7", BIG, "1e300", "-5", "1e999", "NaN", '"x"', "[1]", '{"a":1}', "null", "1e9"]
RECORDS = [
    '{"metrics":{"speculative_decoding":{"num_spec_steps":@,"num_accepted_draft_tokens":3}},"created":@}',
    '{"metrics":{"speculative_decoding":{"num_spec_steps":1,"per_step_accepted":[@],"per_step_drafted":[1,@]}}}',
    '{"metrics":{"speculative_decoding":{"num_spec_steps":1,"acceptance_histogram":{"@":1,"²":1}}}}',
    '{"meta_info":{"id":"a","spec_verify_ct":@,"completion_tokens":@,"spec_accept_histogram":[@,1]}}',
    '{"timings":{"predicted_n":@,"draft_n":@,"draft_n_accepted":@,"predicted_ms":@}}',
    '{"accepted_draft_hist":[1,@],"max_draft_len":@}',
    '{"spec_decode_acceptance":{"num_spec_steps":@,"acceptance_histogram":{"@":1}}}',
    '{"Request_AL":{},"Average_AL":@,"Acceptance_Length_Histogram":{"@":1,"1":@}}',
    '{"question_id":1,"choices":[{"idxs":[@],"new_tokens":[@],"wall_time":[@]}]}',
    '{"question_id":@,"choices":[{"accept_lengths":[@,1],"new_tokens":[@]}]}',
    '{"records":[{"bs":@,"reqs":[{"verify_len":@,"correct_drafts":@}]}],"verify_num_draft_tokens":@}',
    '{"iter":@,"iterLatencyMS":@,"timestamp":@,"specDecodingStats":{"numDraftTokens":@}}',
]


@pytest.mark.one_of(5)
@pytest.mark.parametrize(("record", "number"), in_turn(RECORDS, VALUES, of=13))
def test_numbers_in_a_record(record: str, number: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(record.replace('"@"', json.dumps(number)).replace("@", number) + "\n")
    assert run(["report", str(tmp_path / "a.json"), "-q"]) in (0, 3)
    assert run(["detect", str(tmp_path / "a.json")]) in (0, 3)


POSITIONS, STAMPS = ["0", "²", "٣", "1e5", "-1", "999999999"], ["", "1700000000000", "9" * 30, "9" * 400, "9" * 5000]


@pytest.mark.one_of(5)
@pytest.mark.parametrize(("position", "stamp"), in_turn(POSITIONS, STAMPS, of=3))
def test_a_sample_of_a_scrape(position: str, stamp: str, tmp_path: Path) -> None:
    name = f'vllm:spec_decode_num_accepted_tokens_per_pos_total{{position="{position}"}}'
    (tmp_path / "a.prom").write_text(f"{name} 5 {stamp}\nvllm:spec_decode_num_drafts_total 9 {stamp}\n", "utf-8")
    assert _found(tmp_path / "a.prom")["records"] >= 1


@pytest.mark.one_of(5)
@pytest.mark.parametrize("token", ["5", "word", BIG, HUGE, "²"])
def test_a_row_on_paper(token: str, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(f"token,target,draft,r\n{token},0.5,0.5,0.1\n{'x' * 200_000},1,1,1\n3,0.5,1e999,\n")
    found = _found(tmp_path / "c.csv")
    assert found["steps"] == 1
    assert sum(x["count"] for x in found["losses"]) == 1


def _tables(folder: Path, column: pa.Array, name: str) -> Path:
    plain = {k: [v, v] for k, v in (STEP | {"at": 1.0}).items() if k != "kind"} | {"step": [0, 1]}
    pq.write_table(pa.table(plain | {name: column}), folder / "t.parquet")
    return folder / "t.parquet"


@pytest.mark.one_of(8)
@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("request_id", pa.array(["a", "b"]).dictionary_encode()),
        ("graph", pa.array([b"a", b"b"])),
        ("step", pa.array([0, 1], pa.uint8())),
        ("step", pa.array([0.0, 1.0])),
        ("at", pa.array([10**15, 10**15], pa.timestamp("us"))),
        ("at", pa.nulls(2)),
        ("accepted", pa.array([[1, 0], [1, 1]])),
        ("target_probs", pa.array([["0.5", "0.5"]] * 2)),
    ],
)
def test_columns_that_are_read(name: str, column: pa.Array, tmp_path: Path) -> None:
    assert _found(_tables(tmp_path, column, name))["steps"] == 2


@pytest.mark.one_of(5)
@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("step", pa.array([{"a": 1}, {"a": 2}])),
        ("step", pa.array([[0], [1]])),
        ("step", pa.array([0, 1], pa.timestamp("us"))),
        ("step", pa.array([True, False])),
        ("step", pa.array([0.5, 1.0])),
        ("step", pa.array(["x", "y"])),
        ("at", pa.array([0, 1], pa.date32())),
        ("at", pa.array([0, 1], pa.duration("us"))),
        ("request_id", pa.array([0, 1], pa.timestamp("us"))),
        ("accepted", pa.array([[2, 0], [1, 1]])),
        ("draft_token_ids", pa.array([1, 2]).dictionary_encode()),
        ("draft_token_ids", pa.array([[[1]], [[2]]])),
        ("graph", pa.array([b"\xff", b"b"])),
    ],
)
def test_columns_of_another_type_are_named(name: str, column: pa.Array, tmp_path: Path) -> None:
    found = _found(_tables(tmp_path, column, name))
    if found["steps"]:  # one entry a step is a draft of one token, and does not fit the others
        pytest.fail(f"{name} was read")
    assert name in found["losses"][0]["what"]


@pytest.mark.one_of(8)
@pytest.mark.parametrize(
    ("column", "left_out"),
    [
        (pa.array(['{"a":"b"}', "no object"]), 1),
        (pa.array([b'{"a":"b"}', b"\xff"]), 1),
        (pa.array(['{"a":' * 900 + "1" + "}" * 900, None]), 1),
        (pa.array([{"a": b"x"}, {"a": b"y"}]), 0),
        (pa.array([[("a", "b")], []], pa.map_(pa.string(), pa.string())), 0),
        (pa.array([[{"a": 1}], []]), None),
        (pa.array([[1], [2]]), None),
    ],
)
def test_objects_of_a_table(column: pa.Array, left_out: int | None, tmp_path: Path) -> None:
    pl.DataFrame([STEP]).drop("kind").write_parquet(tmp_path / "steps.parquet")
    pq.write_table(pa.table({"request_id": ["r", "s"], "tags": column}), tmp_path / "requests.parquet")
    found = _found(tmp_path)
    assert found["requests"] == (0 if left_out is None else 2)
    if left_out is None:
        assert "column tags is" in found["losses"][0]["what"]
    else:
        assert sum(n["count"] for n in found["notices"] if "no JSON object" in n["what"]) == left_out


@pytest.mark.parametrize("old", [b"element", b"request_id", b"graph"])
def test_names_of_a_table_that_are_no_text(old: bytes, tmp_path: Path) -> None:
    """A flipped bit in what describes the columns."""
    path = _tables(tmp_path, pa.array(["a", "b"]), "graph")
    path.write_bytes(path.read_bytes().replace(old, old[:3] + b"\xe5" + old[4:]))
    with pytest.raises(NoInputError) as told:
        report(path)
    assert "Parquet" in told.value.message
    assert "reader error" not in told.value.message


@pytest.mark.slow
def test_what_a_table_says_beside_its_columns_need_be_no_text(tmp_path: Path) -> None:
    path = _tables(tmp_path, pa.array(["a", "b"]), "graph")
    path.write_bytes(path.read_bytes().replace(b"ARROW:schema", b"ARR\xe5W:schema"))
    assert _found(path)["steps"] == 2


def test_positions_of_counts_are_linear_and_bounded() -> None:
    assert counts.above([1.0, 2.0, 3.0]) == [5.0, 3.0]
    assert counts.gathered([0, 2, 2]) == [1.0, 0.0, 2.0]
    assert counts.gathered([1e9]) is None
    assert counts.histogram({"4097": 1}) is None
    assert counts.histogram({"2": 5}) == [0.0, 0.0, 5.0]
    assert counts.histogram([1.0] * (counts.LONGEST + 2)) is None


@pytest.mark.slow
def test_losses_beyond_a_few_thousand_are_counts() -> None:
    losses = [Loss("f", n, f"kind {n % 7 if n % 2 else n}", 1, "") for n in range(20_000)]
    read = Input("f", "x", None)
    for start in range(0, 20_000, 500):
        part = losses[start : start + 500]
        book(read, Batch("f", 500, *no_tables(), part))
    assert sum(x.count for x in read.losses) == read.lines == 20_000
    assert len(read.losses) <= inputs.ONE_BY_ONE + inputs.KINDS + 1
    told: list[Loss] = []
    add(told, losses[:10])
    assert told == losses[:10]

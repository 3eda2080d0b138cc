"""Token ids are content: whoever has the tokenizer can read them. They are shown only when asked for."""

import json
from pathlib import Path

import orjson
import pytest

from sdtrace import report
from sdtrace.render import html, terminal
from sdtrace.render.json import dumps

CANARY = 987_650_000
IDS = [str(CANARY + i) for i in range(20)]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Wrong decisions, a wrong recovered token and a greedy mismatch, in tokens that are told from any other number."""
    run = {"kind": "run", "run_id": "r", "rule": "ratio", "prob_dtype": "float32"}
    rows = [run, {"kind": "request", "run_id": "r", "request_id": "g", "temperature": 0.0}]
    step = {"kind": "step", "run_id": "r", "draft_token_ids": [CANARY, CANARY + 1], "num_accepted": 1}
    for i in range(6):
        wrong = {"draft_probs": [0.5, 0.5], "target_probs": [0.1, 0.9], "uniforms": [0.9, 0.1]}
        last = {"last_kind": "recovered", "last_target_prob": 0.1, "last_draft_prob": 0.3}
        out = {"output_token_ids": [CANARY, CANARY + 1]}
        rows.append(step | wrong | last | out | {"request_id": "a", "step": i})
        best = {"target_argmax_ids": [CANARY + 2, CANARY + 3, CANARY + 4], "target_top2_gap": [3.0, 3.0, 3.0]}
        rows.append(step | best | {"request_id": "g", "step": i, "output_token_ids": [CANARY, CANARY + 5]})
    path = tmp_path / "trace.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def shown(trace: Path, *, ids: bool) -> str:
    found = report(trace, ids=ids)
    texts = html.page(found), dumps(found), terminal.summary(found, width=100, color=False, verbose=True).encode()
    return b"\n".join(texts).decode().replace(",", "")


@pytest.mark.slow
def test_no_token_id_is_shown_unasked(trace: Path) -> None:
    text = shown(trace, ids=False)
    assert orjson.loads(dumps(report(trace)))["causes"], "the trace must have evidence to show"
    assert not [token for token in IDS if token in text]


@pytest.mark.slow
def test_token_ids_are_shown_when_asked_for(trace: Path) -> None:
    text = shown(trace, ids=True)
    assert {IDS[0], IDS[1], IDS[2], IDS[5]} <= {token for token in IDS if token in text}

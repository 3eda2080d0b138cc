"""Losses and notices of a state that was written before they had a kind."""

import orjson
import pytest

from sdtrace.history.older_rows import with_kinds
from sdtrace.history.report_store import report_of
from sdtrace.readers.guard import FAULT


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("duplicate of request 'a', step 3", "repeated"),
        ("duplicate of request 'a', step 3, in another input", "repeated"),
        ("other lines, not about speculative decoding", "other"),
        ("unreadable Parquet: Corrupt snappy compressed data.", "unreadable"),
        (f"{FAULT}: ValueError", "ordinary"),
        ("step is missing", "ordinary"),
    ],
)
def test_a_loss_of_an_older_state_has_its_kind(what: str, kind: str) -> None:
    saved = {"path": "f", "line": 3, "what": what, "count": 2, "advice": ""}
    assert with_kinds({"losses": [saved], "notices": []})["losses"] == [saved | {"kind": kind}]
    told = saved | {"kind": "unreadable"}
    assert with_kinds({"losses": [told], "notices": []})["losses"] == [told]


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("answers without logprobs, which tell nothing by themselves", "bare"),
        ("the compressed file is damaged: Compressed data ended", "damaged"),
        ("unknown key 'a'", "ordinary"),
    ],
)
def test_a_notice_of_an_older_report_has_its_kind(what: str, kind: str) -> None:
    row = {"where": "f:3", "what": what, "count": 1, "advice": ""}
    document = {"inputs": [{"path": "f", "losses": [], "notices": [row]}]}
    saved = {"document": document, "sections": [], "viewer": [], "not_checked": []}
    assert report_of(orjson.dumps(saved)).document["inputs"][0]["notices"] == [row | {"kind": kind}]

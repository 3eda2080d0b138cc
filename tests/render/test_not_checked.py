"""What was not checked: codes that stages take away, put into words at the end."""

from typing import get_args

from sdtrace.history.report_store import report_of, stored
from sdtrace.results.not_checked import STAGES, WORDS, Code, NotChecked, Stage, sentences, without
from sdtrace.results.report import Report, leaving


def test_stages_share_one_sentence_and_leave_it_as_they_are_done() -> None:
    notes = [NotChecked("target-p"), *STAGES]
    assert sentences(notes)[1:] == ["replay, history and comparison with another trace: not part of this report"]
    assert sentences(without(notes, "replay", "target-p")) == [
        "history and comparison with another trace: not part of this report"
    ]
    assert sentences(without(STAGES, "history", "comparison")) == ["replay: not part of this report"]
    assert sentences(without(STAGES, "replay", "history", "comparison")) == []


def test_a_fact_is_put_in_as_it_is() -> None:
    hostile = "{why} %s {0.__class__}"
    assert sentences([NotChecked("tuning", {"why": hostile})]) == [f"tuning: {hostile}"]
    facts = {"left": 1200, "of": 3000}
    assert sentences([NotChecked("partly-replayed", facts)])[0].endswith("in 1,200 of 3,000 requests: not run again")
    assert {code for code, words in WORDS.items() if not words} == {"time", *(note.code for note in STAGES)}
    assert set(WORDS) == {*get_args(Code), *get_args(Stage)}


def test_a_stored_report_keeps_its_codes() -> None:
    plain = Report({"inputs": [], "verdict": {"state": "healthy", "not_checked": []}}, [], [])
    report = leaving(plain, [NotChecked("target-p"), *STAGES])
    assert report.document["verdict"]["not_checked"] == sentences(report.not_checked)
    again = report_of(stored(report))
    assert again.not_checked == report.not_checked
    older = stored(report).replace(b'"not_checked":[{', b'"other":[{')
    assert sentences(report_of(older).not_checked) == sentences(report.not_checked)

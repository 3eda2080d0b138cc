"""What engines say of their configuration, as settings by name; sentences are made of them and nothing is read back."""

from pathlib import Path
from typing import Any

import pytest

from sdtrace.history.older_rows import with_settings
from sdtrace.readers.logs import llamacpp_events, sglang_events
from tests.made.simulate import document

LINES = {
    "./llama-server -m a.gguf -md b.gguf --draft-max 3": (
        "method=draft model k=3",
        {"method": "draft model", "k": "3"},
    ),
    "./llama-server -m a.gguf -md b.gguf --spec-type draft-mtp": ("method=draft-mtp", {"method": "draft-mtp"}),
    "0.00.1 I - n_max=16, n_min=2, p_min=0.75": (
        "k=16 n_min=2 p_min=0.75",
        {"k": "16", "n_min": "2", "p_min": "0.75"},
    ),
    "server_args=ServerArgs(speculative_algorithm='EAGLE3', speculative_num_steps=3, speculative_num_draft_tokens=4)": (
        "method=EAGLE3 k=4 steps=3",
        {"method": "EAGLE3", "k": "4", "steps": "3"},
    ),
    "DSpark gamma is not set; defaulting to 5.": ("5", {"gamma": "5"}),
    "speculative_num_draft_tokens is set to 8 for DFLASH": ("8", {"num_draft_tokens": "8"}),
}


@pytest.mark.parametrize("line", LINES)
def test_settings_are_those_of_the_line_and_the_value_holds_them(line: str) -> None:
    if "llama" in line or "n_max" in line:
        found = llamacpp_events.announced("log", 1, None, line)
    else:
        found = sglang_events.announced("log", 1, line)
    (event,) = [e for e in found if e.kind == "config"]
    assert (event.value, event.settings) == LINES[line]


def test_an_older_state_has_the_settings_that_its_words_tell() -> None:
    for value, settings in LINES.values():
        what = {"5": "the engine chose the draft length", "8": "the engine chose the number of verified tokens"}
        row: dict[str, Any] = {"kind": "config", "what": what.get(value, "speculation is configured"), "value": value}
        assert with_settings(row) == row | {"settings": settings}
    rows: list[dict[str, Any]] = [
        {"kind": "config", "what": "w", "value": None},
        {"kind": "k", "what": "w", "value": "3 -> 5"},
        {"kind": "config", "what": "w", "value": "k=3", "settings": {}},
    ]
    assert [with_settings(row) for row in rows] == rows


def test_a_draft_model_alone_is_named_in_full(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_text(
        "llama-server -m a.gguf -md b.gguf --draft-max 3\n"
        "0.07.112.340 I slot print_timing: id  0 | task 12 | draft acceptance = 0.60000 (   60 accepted /   100 generated), "
        "mean len =  2.00\n"
    )
    about = document(path)["about"]
    assert (about["methods"], about["draft_lengths"]) == (["draft model"], [3])

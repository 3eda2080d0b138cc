"""Adaptive speculation: the draft length in force is followed, figures are split by it, a switch is no regression."""

from pathlib import Path
from typing import Any

import pytest

from tests.made.simulate import document

DECODE = (
    "[2026-03-02 10:{m:02}:{s:02} TP0] Decode batch. #running-req: {n}, #token: {token}, token usage: 0.02, accept len: {length:.2f}, "
    "accept rate: {rate:.2f}, cuda graph: True, gen throughput (token/s): {tps:.2f}, #queue-req: 0\n"
)
SWITCH = "[2026-03-02 10:{m:02}:{s:02} TP0] Adaptive spec params updated: steps {old} -> {new}\n"


def decode(i: int, k: int, accepted: float, running: int) -> str:
    m, s = divmod(10 * i, 60)
    return DECODE.format(
        m=m, s=s, n=running, token=900 + i, length=1 + accepted, rate=accepted / k, tps=20 * running * (1 + accepted)
    )


def told(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "server.log"
    path.write_text(text)
    return document(path)


@pytest.mark.slow
def test_lengths_that_an_engine_announces_are_followed(tmp_path: Path) -> None:
    """From 7 drafted tokens to 2 under load: 29% and 75% of them are accepted, and nobody is to blame."""
    text = "".join(decode(i, 7, 2.0 + 0.07 * (i % 3), 2) for i in range(12)) + SWITCH.format(m=2, s=0, old=7, new=2)
    text += "".join(decode(i, 2, 1.5 - 0.02 * (i % 3), 32) for i in range(12, 24)) + SWITCH.format(
        m=4, s=0, old=2, new=7
    )
    text += "".join(decode(i, 7, 2.0 + 0.07 * (i % 3), 2) for i in range(24, 36))
    found = told(tmp_path, text)
    rows = {row["k"]: row for row in found["acceptance"]["by_draft_length"]}
    assert {k: row["windows"] for k, row in rows.items()} == {2: 12, 7: 24}
    assert rows[2]["tokens_per_step"] == pytest.approx(2.48, abs=0.02)
    assert rows[7]["tokens_per_step"] == pytest.approx(3.07, abs=0.02)
    assert (rows[2]["running"], rows[7]["running"]) == (32, 2)
    assert [c["says"] for c in found["changes"] if c["what"] == "configuration"] == [
        "the draft length was switched: 7 -> 2",
        "the draft length was switched: 2 -> 7",
    ]
    assert not [c for c in found["causes"] if c["side"] == "slow"]


@pytest.mark.slow
def test_a_switch_to_longer_drafts_is_no_fall(tmp_path: Path) -> None:
    text = "".join(decode(i, 1, 0.8 - 0.02 * (i % 2), 32) for i in range(12)) + SWITCH.format(m=2, s=0, old=1, new=7)
    text += "".join(decode(i, 7, 1.8 + 0.07 * (i % 2), 2) for i in range(12, 30))
    found = told(tmp_path, text)
    assert not [c for c in found["causes"] if c["side"] == "slow"]
    assert len(found["acceptance"]["by_draft_length"]) == 2


def test_one_length_has_no_table(tmp_path: Path) -> None:
    found = told(tmp_path, "".join(decode(i, 3, 1.8 + 0.03 * (i % 2), 2) for i in range(12)))
    assert found["acceptance"]["by_draft_length"] == []

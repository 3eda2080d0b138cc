"""Losses of one kind: fifty with their lines, then one for the rest of a batch; the kind is what they are about, not their words."""

import json
from pathlib import Path

from sdtrace.api import report

STEP = {"kind": "step", "request_id": "a", "draft_token_ids": [1], "num_accepted": 0, "output_token_ids": [2]}


def test_losses_about_one_column_are_counted_together_whatever_they_say(tmp_path: Path) -> None:
    sound = [STEP | {"step": i} for i in range(60)]
    rows = [
        *sound,
        *(STEP | {"step": 100 + i, "num_accepted": -1 - i} for i in range(40)),
        *(STEP | {"step": 200 + i, "num_accepted": 2**31 + i} for i in range(40)),
        *({**STEP, "step": None} for _ in range(5)),
        *sound,
    ]
    file = tmp_path / "trace.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = report(str(file)).document["inputs"][0]
    assert found["steps"] == 60
    losses = found["losses"]
    assert sum(x["count"] for x in losses) == 40 + 40 + 5 + 60
    further = [(x["what"].split(" ")[0], x["count"]) for x in losses if x["advice"].startswith("further ones")]
    assert further == [("num_accepted", 30), ("duplicate", 10)]
    assert sum(x["what"] == "step is missing" for x in losses) == 5

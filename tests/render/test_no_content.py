"""No token id and no text of a request is in any output, nor in the state of nights."""

import re
from pathlib import Path

from sdtrace import report
from sdtrace.api import explain
from sdtrace.cli import run
from sdtrace.render import html, junit, markdown, prometheus, sarif, terminal
from sdtrace.render.json import dumps
from tests.made.simulate import Scenario, Shape, simulate

CANARY = 987_650_000
TEXT = "CANARY-prompt-text"
#: A canary as a number of its own, not as digits of a fraction.
TOKEN = re.compile(rb"(?<![\d.])98765\d{4}(?![\d.])")


def canary_trace(path: Path) -> Path:
    """Wrong decisions whose every token, prompt and stray key can be told from anything else."""

    def marked(run: dict, requests: list, steps: list, rng: object) -> None:
        for request in requests:
            request.update(
                prompt_token_ids=[CANARY + 900 + i for i in range(9)], prompt=TEXT, messages=[{"content": TEXT}]
            )
            request["stop_token_ids"] = [CANARY + i for i in request["stop_token_ids"]]
        for step in steps:
            for name in ("draft_token_ids", "output_token_ids", "target_argmax_ids"):
                step[name] = [CANARY + i for i in step[name]]
            step["text"] = TEXT

    return simulate(Scenario(fault="lenience-0.7", shape=Shape(tested=300), edit=marked)).write(path)


def test_no_content_in_any_artefact(tmp_path: Path) -> None:
    """Prompt text and token ids that are nowhere else must be in no output and in no file of the state."""
    trace = canary_trace(tmp_path / "trace.jsonl")
    assert TOKEN.search(str(explain(trace, request="r-0")).encode()), "the canaries must be there to be found"
    found = report(trace)
    texts = [module.dumps(found) for module in (junit, sarif, prometheus, markdown)]
    texts += [html.page(found), dumps(found), terminal.summary(found, width=100, color=False, verbose=True).encode()]
    out = tmp_path / "out"
    assert run(["nightly", str(trace), "--state", str(tmp_path / "state"), "-o", str(out), "-q"]) == 1
    texts += [p.read_bytes() for p in out.iterdir()]
    texts += [_unpacked(p) for p in (tmp_path / "state").rglob("*") if p.is_file()]
    for text in texts:
        assert TEXT.encode() not in text
        assert not TOKEN.search(text.replace(b",", b" "))
        assert not TOKEN.search(text.replace(b",", b""))


def _unpacked(path: Path) -> bytes:
    if path.suffix == ".zst":
        import zstandard

        return zstandard.ZstdDecompressor().decompress(path.read_bytes())
    if path.suffix == ".parquet":
        import polars as pl

        return pl.read_parquet(path).write_json().encode()
    return path.read_bytes()

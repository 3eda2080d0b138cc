"""No token id and no text of a request is in any output, nor in the state of nights."""

from pathlib import Path

from sdtrace import report
from sdtrace.api import explain
from sdtrace.cli import run
from sdtrace.render import html, junit, markdown, prometheus, sarif, terminal
from sdtrace.render.json import dumps
from tests.made.canaries import TEXT, TOKEN, canary_trace


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

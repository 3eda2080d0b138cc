"""The page in a real browser: hostile strings in every field run nothing; nothing overflows on a phone."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import report
from sdtrace.render import html

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --disable-extensions"
)
SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

EVIL = [
    "</script><script>document.title='ran'</script>",
    "<img src=x onerror=\"document.title='ran'\">",
    '"><svg onload="document.title=\'ran\'">',
    "javascript:document.title='ran'",
    "{{ 7*7 }} {% raw %} ]]>",
    "\u2028\u2029\u202e evil \x1b[31mred\x1b[0m \x07",
    "A" * 1_000_000,
]


def dom(page: Path, folder: Path, *more: str) -> str:
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS.split(), f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=3000", *more]
    done = subprocess.run(
        [*command, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        errors="replace",
    )
    return done.stdout


def hostile(path: Path) -> Path:
    """A lenient trace with a hostile string in every text of every record."""
    lines: list[dict[str, Any]] = []
    for i, evil in enumerate(EVIL):
        texts = dict.fromkeys(("engine", "engine_version", "method", "target_model", "draft_model"), evil)
        lines.append(
            {"kind": "run", "run_id": evil, **texts, "rule": evil if i % 2 else "ratio", "config": {evil: evil}}
        )
        lines.append(
            {"kind": "request", "run_id": evil, "request_id": evil, "finish_reason": evil, "tags": {evil: evil}}
        )
        for step in range(30):
            lines.append(
                {
                    "kind": "step",
                    "run_id": evil,
                    "request_id": evil,
                    "step": step,
                    "draft_token_ids": [1, 2],
                    "draft_probs": [0.9, 0.5],
                    "target_probs": [0.1, 0.6],
                    "uniforms": [0.5, 0.5],
                    "num_accepted": step % 2,
                    "output_token_ids": [1, 3][: step % 2 + 1] if step % 2 else [3],
                    "graph": evil,
                    evil[:200]: evil[:200],
                }
            )
    path.write_text("\n".join(json.dumps(line) for line in lines) + '\n{"kind": "<b>broken</b>", \n')
    return path


def test_hostile_strings_run_nothing(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_bytes(html.page(report(hostile(tmp_path / "<img src=x onerror=alert(1)>.jsonl"))))
    assert page.stat().st_size < 2_000_000
    shown = dom(page, tmp_path)
    assert "<title>ran" not in shown
    assert not re.search(r"<(img|svg onload|script[^>]*src)", shown)
    assert len(re.findall(r"<script", shown)) == 1
    assert "Trace viewer" in shown


@pytest.mark.parametrize("name", ["sampled", "lenient-0.8.planted"])
def test_nothing_overflows_on_a_phone(name: str, tmp_path: Path) -> None:
    """The page in a frame of 390 px: its document is not wider than the frame."""
    (tmp_path / "page.html").write_bytes(html.page(report(SAMPLES / f"transformers-{name}.jsonl.gz")))
    frame = tmp_path / "frame.html"
    frame.write_text(
        "<iframe id=f src=page.html width=390 height=800></iframe><script>"
        "f.onload = () => { document.title = f.contentDocument.documentElement.scrollWidth; }</script>"
    )
    shown = dom(frame, tmp_path, "--allow-file-access-from-files")
    title = re.search(r"<title>(\d+)</title>", shown)
    assert title is not None
    assert int(title[1]) <= 390

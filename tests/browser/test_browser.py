"""The page in a real browser: hostile strings in every field run nothing; nothing overflows on a phone."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import diff, report, tune
from sdtrace.cli import run
from sdtrace.render import html
from sdtrace.render.steps import quiet
from sdtrace.results.report import Report
from sdtrace.simulate.responses import Asked, responses
from tests.made.rotated import night
from tests.made.vllm_log import vllm_log

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
    (tmp_path / "page.html").write_bytes(html.page(report(SAMPLES / f"transformers-{name}.jsonl.gz")))
    assert width_on_a_phone(tmp_path) <= 390


def test_the_index_of_nights_fits_a_phone(tmp_path: Path) -> None:
    """A row of a service, the history of an alarm, a calendar."""
    for day in range(14, 18):
        kept = ["--state", str(tmp_path / "state"), "-o", str(tmp_path / "pages")]
        run(["nightly", str(night(tmp_path, day, bad=day == 17)), *kept, "-q"])
    shutil.copy(tmp_path / "pages" / "index.html", tmp_path / "page.html")
    assert "fell to 1.05" in (tmp_path / "page.html").read_text()
    assert width_on_a_phone(tmp_path) <= 390


def width_on_a_phone(tmp_path: Path) -> int:
    """The width of page.html in a frame of 390 px: more than that where its document is wider than the frame."""
    frame = tmp_path / "frame.html"
    frame.write_text(
        "<iframe id=f src=page.html width=390 height=800></iframe><script>"
        "f.onload = () => { document.title = f.contentDocument.documentElement.scrollWidth; }</script>"
    )
    shown = dom(frame, tmp_path, "--allow-file-access-from-files")
    title = re.search(r"<title>(\d+)</title>", shown)
    assert title is not None
    return int(title[1])


#: A page of each kind.
PAGES: dict[str, Callable[[Path], Report]] = {
    "wrong": lambda _: report(SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz"),
    "incident": lambda folder: report(vllm_log(folder)),
    "tune": lambda _: tune(SAMPLES / "transformers-greedy.jsonl.gz"),
    "diff": lambda _: diff(SAMPLES / "change" / "tau-2.jsonl.gz", SAMPLES / "change" / "tau-6.jsonl.gz"),
    "log": lambda _: report(SAMPLES / "vllm-server.log.gz"),
    "responses": lambda folder: report(stale(folder / "responses.jsonl")),
}


def stale(path: Path) -> Path:
    made = responses(Asked("text-stale", responses=20, tokens=50, k=20))
    path.write_text("".join(f"{json.dumps(one)}\n" for one in made))
    return path


@pytest.mark.parametrize("name", PAGES)
def test_no_table_scrolls_sideways_on_a_phone(name: str, tmp_path: Path) -> None:
    """Everything is opened. A command alone is one line, which scrolls in its own box; each cell of a stacked row has its column's name."""
    (tmp_path / "page.html").write_bytes(html.page(PAGES[name](tmp_path)))
    seen = driven(
        tmp_path / "page.html",
        tmp_path,
        "d.querySelectorAll('details').forEach((x) => { x.open = true; }); await wait();"
        "const at = (e) => `${e.tagName} ${e.className} in ${(e.closest('section, article') || {}).id}`;"
        "const own = '.command, .command *, svg *';"
        "const wide = [...d.querySelectorAll('body *')].filter((e) => !e.matches(own) &&"
        " (e.getBoundingClientRect().right > 390.5 || (e.matches('.scroll') && e.scrollWidth > e.clientWidth)));"
        "const bare = [...d.querySelectorAll('.stacked td.n')].filter((e) => !e.dataset.l && /^[0-9.,]+%?$/.test(e.textContent));"
        "return [d.querySelectorAll('.stacked').length > 1, ...wide.map(at), ...bare.map(at)].join('; ')",
        width=390,
    )
    assert seen == "true"


def driven(page: Path, folder: Path, script: str, width: int = 1200) -> str:
    """What `script` makes of the page in a frame, with `f` the frame's window and `key(name, target)` a pressed key."""
    frame = folder / "drive.html"
    frame.write_text(
        f"<iframe id=f src={page.name} width={width} height=900></iframe><script>"
        "const frame = document.getElementById('f'); frame.onload = async () => { const f = frame.contentWindow, d = f.document;"
        "const key = (name, target = d.body) => target.dispatchEvent(new f.KeyboardEvent('keydown', {key: name, bubbles: true}));"
        "const wait = () => new Promise((done) => setTimeout(done, 60));"
        f"document.title = await (async () => {{ {script} }})(); }}</script>"
    )
    shown = dom(frame, folder, "--allow-file-access-from-files")
    title = re.search(r"<title>([^<]*)</title>", shown)
    assert title is not None
    return title[1]


def test_the_viewer_is_searched_and_walked_by_keys(tmp_path: Path) -> None:
    found = report(SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz", ids=True)
    page = tmp_path / "page.html"
    page.write_bytes(html.page(found))
    odd = [f"r{i}-step-{s['step']}" for i, v in enumerate(found.viewer, 1) for s in v.steps if not quiet(s)]
    last = found.viewer[-1]
    token = last.steps[-1]["tokens"][0]["token"]
    seen = driven(
        page,
        tmp_path,
        "const seen = [d.getElementById('finder').hidden];"
        "const at = async () => { await wait(); seen.push(f.location.hash.slice(1)); };"
        "key('n'); await at(); key('n'); await at(); key('p'); await at(); key('ArrowRight'); await at();"
        "key('/'); seen.push(d.activeElement.id); const box = d.getElementById('find');"
        f"box.value = 'token {token}'; key('Enter', box); await at();"
        f"seen.push(d.getElementById(f.location.hash.slice(1)).textContent.includes('{token}'));"
        f"box.value = 'request {last.request_id}'; box.dispatchEvent(new f.Event('input')); key('Enter', box); await at();"
        "box.value = 'no such thing'; key('Enter', box); seen.push(d.getElementById('found').textContent);"
        "const place = d.getElementById(f.location.hash.slice(1));"
        "seen.push([...d.querySelectorAll('details')].filter((x) => x.contains(place)).every((x) => x.open));"
        "return seen.join(' ')",
    ).split(" ", 8)
    assert seen[:4] == ["false", odd[0], odd[1], odd[0]]
    assert seen[4].startswith("r1-step-")
    assert seen[5] == "find"
    assert seen[7] == "true"
    assert seen[8].startswith(f"r{len(found.viewer)}-step-")
    assert seen[8].endswith("none true")


def test_evidence_leads_to_its_step_and_back(tmp_path: Path) -> None:
    """Every link within the page has its place; the address of a step opens what is folded around it."""
    page = tmp_path / "page.html"
    page.write_bytes(html.page(report(SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz")))
    seen = driven(
        page,
        tmp_path,
        "const links = [...d.querySelectorAll('a[href^=\"#\"]')];"
        "const lost = links.filter((a) => !d.getElementById(a.getAttribute('href').slice(1)));"
        "const rows = [...d.querySelector('.evidence').tBodies[0].rows];"
        "if (!rows.every((row) => row.querySelector('a'))) return 'a piece of evidence leads nowhere';"
        "const evidence = d.querySelector('.evidence a'); evidence.click(); await wait();"
        "const step = d.getElementById(f.location.hash.slice(1)); const back = step.querySelector('a[href^=\"#cause-\"]');"
        "const shut = [...d.querySelectorAll('details')].filter((x) => x.contains(step) && !x.open).length;"
        "back.click(); await wait(); return [links.length > 20, lost.length, shut, f.location.hash].join(' ')",
    )
    assert seen == "true 0 0 #cause-lenient-acceptance"


def test_the_page_is_whole_without_script(tmp_path: Path) -> None:
    """What the script shows is a box to find things with, and nothing else: all text is in the page as it is written."""
    page = tmp_path / "page.html"
    page.write_bytes(html.page(report(SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz")))
    hidden = re.findall(r"<(\w+)[^>]*\shidden", page.read_text())
    assert sorted(hidden) == ["div", "input"]
    assert re.search(r"<div id=\"finder\"[^>]* hidden>", page.read_text())
    assert 'role="search" hidden' not in dom(page, tmp_path)

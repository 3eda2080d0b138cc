"""Seven nights of a real log, rotated, with one bad night in the middle: who is told, what is kept, and what the next nights say."""

import email
import email.policy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from sdtrace.cli import run
from tests.made.rotated import night

pytestmark = pytest.mark.slow

FIRST, BAD, MISSING = 14, 17, 19
NIGHTS = [FIRST + i for i in range(8) if FIRST + i != MISSING]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, str]]:
    """The folder of state and pages, and what --mail printed in each night."""
    folder = tmp_path_factory.mktemp("seven")
    sent: dict[int, str] = {}
    for day in NIGHTS:
        with pytest.MonkeyPatch.context() as patch:
            printed: list[str] = []
            patch.setattr("click.echo", lambda text="", *_, printed=printed, **__: printed.append(str(text)))
            log = night(folder / "logs", day, bad=day == BAD)
            kept = ["--state", str(folder / "state"), "-o", str(folder / "pages")]
            assert run(["nightly", str(log), *kept, "-q", "--mail", "--fail-on", "slow"]) == (day == BAD)
        sent[day] = "\n".join(printed)
    return folder, sent


def document(folder: Path, day: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "pages" / f"2026-11-{day}.json").read_text())
    return found


def test_a_mail_of_the_bad_night_and_of_recovery_alone(served: tuple[Path, dict[int, str]]) -> None:
    sent = {day: text for day, text in served[1].items() if text}
    assert list(sent) == [BAD, BAD + 1]
    bad, good = (email.message_from_string(text, policy=email.policy.default) for text in sent.values())
    assert bad["Subject"] == "[sdtrace] SLOW: 1 new alarm, night of 2026-11-17"
    assert good["Subject"] == "[sdtrace] HEALTHY: 1 alarm closed, night of 2026-11-18"
    assert "fell to 1.05; the 3 nights before it had 2.86" in bad.get_content()
    assert "(since 2026-11-17; fault gone)" in good.get_content()


def test_the_history_of_the_alarm(served: tuple[Path, dict[int, str]]) -> None:
    for day in NIGHTS:
        history = document(served[0], day)["history"]
        assert [a["id"] for a in history["alarms"]] == (["fall:tokens_per_step:vllm"] if day == BAD else [])
        past = [(a["opened"], a["last"], a["closed"], a["by"]) for a in history["past"]]
        assert past == ([("2026-11-17", "2026-11-17", "2026-11-18", "fault gone")] if day > BAD else [])


def test_the_baseline_of_the_next_nights_is_unharmed(served: tuple[Path, dict[int, str]]) -> None:
    for day in NIGHTS[3:]:
        found = document(served[0], day)
        for metric in found["history"]["services"][0]["metrics"]:
            assert metric["left_out"] == (["2026-11-17"] if day > BAD else [])
            if day > BAD:
                assert metric["change"] == pytest.approx(0.0, abs=1e-9)
        page = (served[0] / "pages" / f"2026-11-{day}.html").read_text()
        assert ("fell far below the others: 2026-11-17." in page) == (day > BAD)


def test_no_trend_denies_the_bad_night(served: tuple[Path, dict[int, str]]) -> None:
    """ "No change of level" below "fell to 1.05" would be two sentences about one night that contradict each other."""
    for day in NIGHTS[1:]:
        page = (served[0] / "pages" / f"2026-11-{day}.html").read_text()
        apart = page.count("apart from 2026-11-17 (a fault, or far below the nights before), no change of level shows")
        assert (apart, page.count("no change of level")) == ((3, 3) if day >= BAD else (0, 3))
        assert page.count("sdtrace diff BEFORE TONIGHT") == (day == BAD)


def test_first_nights_say_what_is_learnt(served: tuple[Path, dict[int, str]]) -> None:
    learnt = {day: document(served[0], day)["history"]["services"][0]["learning"] for day in NIGHTS}
    assert list(learnt.values()) == [{"nights": n, "needed": 3} for n in (1, 2, 3)] + [None] * 4


def test_the_index_says_it_once_and_the_same(served: tuple[Path, dict[int, str]]) -> None:
    page = (served[0] / "pages" / "index.html").read_text()
    tones = re.findall(r'class="tone-([\w-]+)" href="2026-11-(\d\d)\.html" title', page)
    assert {int(day): tone for tone, day in tones} == {day: "slow" if day == BAD else "healthy" for day in NIGHTS}
    assert "No active alarms." in page
    assert "closed 2026-11-18: fault gone" in page
    row = page[page.index('<td class="name">vllm') :]
    assert re.search(r'badge">Healthy</span>.*?since 2026-11-18', row, re.DOTALL)
    told = re.findall(r'class="spark"[^>]*aria-label="([^"]+)"', page)
    assert [text.partition(",")[0] for text in told] == ["tokens per step", "speed", "acceptance"]
    assert told[0] == (
        "tokens per step, 7 nights to 2026-11-21: 1.05 to 2.86, last 2.86; 1 night without it; with a fault: 2026-11-17"
    )
    drawn = re.findall(r'<svg class="spark".*?</svg>', page, re.DOTALL)
    assert [svg.count("<path") for svg in drawn] == [2, 2, 2], "a missing night is a gap"
    assert all(svg.count('class="bad"') == 1 for svg in drawn)


def test_the_pages_are_made_again_as_they_were(served: tuple[Path, dict[int, str]], tmp_path: Path) -> None:
    assert run(["nightly", "--rebuild", "--state", str(served[0] / "state"), "-o", str(tmp_path), "-q"]) == 0
    for file in (served[0] / "pages").iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name

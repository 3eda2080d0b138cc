"""The alert rules over the textfile of `sdtrace nightly`, on textfiles that it wrote; no rule of the file is without its two cases."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sdtrace.cli import run
from sdtrace.render.boards import rules
from sdtrace.render.boards.figures import Names
from tests.made.alert_worlds import FAULTS
from tests.made.promtool import fired, needs_promtool
from tests.made.rotated import night

SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"
OWN = sorted(r.alert for r in rules.groups(Names(), [])["sdtrace-nightly"])
#: An hour apart, looked at after 37 hours.
EVERY, AT = 60, 37 * 60
#: Hour of the second writing of the textfile; None: it was written once, at hour 0.
NIGHTLY, MISSING = 24, None
#: Series of another exporter that is never written again.
OTHER = {"series": 'node_textfile_mtime_seconds{file="/textfile/raid.prom"}', "values": "0x37"}


def textfile(logs: Sequence[Path], tmp_path: Path, *, known: bool) -> str:
    """What the last of some nights leaves; `known`: its alarms are acknowledged."""
    out, kept = tmp_path / "sdtrace.prom", ["--state", str(tmp_path / "state"), "-q"]
    for log in logs:
        written = ["nightly", str(log), *kept, "--prometheus", str(out)]
        run(written)
    for alarm in re.findall(r'^sdtrace_alarm\{alarm="([^"]+)"', out.read_text(), re.MULTILINE) if known else []:
        run([*written, "--acknowledge", alarm, "--until", "2099-01-01", "--why", "known"])
    return out.read_text()


def firing(text: str, written: int | None, tmp_path: Path) -> set[str]:
    """The rules of sdtrace's own that fire where a node exporter shows the textfile."""
    series = [OTHER]
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{n}="{v}"' for n, v in {"job": "node", **sample.labels}.items())
            series.append({"series": f"{sample.name}{{{labels}}}", "values": f"{sample.value:g}x37"})
    times = "0x37" if written is None else f"0x{written - 1} {written * 3600}x{37 - written}"
    series.append({"series": 'node_textfile_mtime_seconds{file="/textfile/sdtrace.prom"}', "values": times})
    return fired(rules.dumps(Names()), OWN, series, EVERY, AT, tmp_path)


#: name -> logs of the nights, whether the alarms are acknowledged, hour of the second writing, what fires.
WORLDS: dict[str, tuple[str, bool, int | None, set[str]]] = {
    "a healthy night": ("healthy", False, NIGHTLY, set()),
    "wrong text": ("wrong", False, NIGHTLY, {"SdtraceWrong", "SdtraceAlarm"}),
    "wrong text, known": ("wrong", True, NIGHTLY, {"SdtraceWrong"}),
    "slow": ("slow", False, NIGHTLY, {"SdtraceAlarm"}),
    "no night": ("healthy", False, MISSING, {"SdtraceNightMissing"}),
}


@needs_promtool
@pytest.mark.parametrize("name", WORLDS)
def test_rules_of_the_textfile(name: str, tmp_path: Path) -> None:
    kind, known, written, wanted = WORLDS[name]
    planted = SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz"
    nights = [night(tmp_path, day, bad=kind == "slow" and day == 17) for day in range(14, 18)]
    assert (
        firing(textfile([planted] if kind == "wrong" else nights, tmp_path, known=known), written, tmp_path) == wanted
    )


def test_every_rule_has_a_case_that_fires_and_one_that_is_silent() -> None:
    """Of an engine's rules: a fault by name, and the healthy engine for all. Of sdtrace's own: a world with it, and one without."""
    whole = rules.groups(Names())
    assert {r.alert for name, group in whole.items() if name != "sdtrace-nightly" for r in group} == set(FAULTS)
    assert {r.alert for r in whole["sdtrace-nightly"]} == set().union(*(fires for *_, fires in WORLDS.values()))
    assert [fires for *_, fires in WORLDS.values() if not fires], "a world in which none fires"

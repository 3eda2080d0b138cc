"""Advice names what the version at hand has, and says so where it is unknown; one table holds the releases of all flags."""

import re

import polars as pl
import pytest

from sdtrace.readers import advice, flags
from sdtrace.schema.counters import no_windows

#: what looks like a flag or a setting of an engine
_LOOKS = re.compile(r"(?<![\w-])--?[a-z][\w-]{1,}(?: \d)?|\b[a-z]+(?:_[a-z]+){2,}\b|\bVLLM_[A-Z_]+")
#: words that look so and are settings of a request, of a folder or of every release
_OTHER = {"--metrics", "--log-requests", "perf_metrics_output_dir"}


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp", "tensorrt-llm", "lmdeploy"])
def test_every_flag_of_advice_is_in_the_table(engine: str) -> None:
    for row in advice.to_log(engine, no_windows(), "99.0")[:-1]:
        known = {flag.name for flag in flags.known(engine, row)}
        named = {word for word in _LOOKS.findall(row) if not any(word in name or name in word for name in known)}
        assert named <= _OTHER, row


@pytest.mark.parametrize("flag", flags.FLAGS, ids=lambda flag: f"{flag.engine} {flag.name}")
def test_a_flag_is_refused_before_its_release_and_after_its_end(flag: flags.Flag) -> None:
    assert flag.since is None or flag.until is None or flag.since < flag.until
    text = f"run with {flag.name}"
    if flag.since is not None:
        before = (*flag.since[:-1], flag.since[-1] - 1, 99) if flag.since[-1] else (flag.since[0] - 1, 99)
        assert "needs" in (flags.caveat(flag.engine, text, before) or "")
        assert flags.caveat(flag.engine, text, (*flag.since, 1)) is None
    if flag.until is not None:
        assert "gone" in (flags.caveat(flag.engine, text, flag.until) or "")
    unknown = flags.caveat(flag.engine, text, None)
    assert (unknown is None) == (flag.since is None and flag.until is None)
    assert unknown is None or "does not say its version" in unknown


@pytest.mark.parametrize(
    ("version", "families", "says"),
    [
        ("0.9.2", [], "needs 0.29; this is 0.9.2"),
        ("0.33.0", [], None),
        (None, ["V1 0.19-0.23"], "needs 0.29; this is 0.23"),
        (None, ["V1 0.24+"], "from 0.29 on; the input does not say its version"),
        (None, [], "from 0.29 on; the input does not say its version"),
    ],
)
def test_advice_by_version(version: str | None, families: list[str], says: str | None) -> None:
    """The release that is announced, else the last one that printed such words."""
    windows = pl.concat(
        [no_windows(), pl.DataFrame({"family": families}, schema={"family": pl.String})], how="diagonal"
    )
    (row,) = (r for r in advice.to_log("vllm", windows, version) if "--per-request-spec-decode-metrics" in r)
    assert row.endswith(f"{says})") if says else row.endswith("detailed")

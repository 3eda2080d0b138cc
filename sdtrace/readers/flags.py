"""Flags of engines and the first release that has each: advice must name what the version at hand can do.

llama.cpp counts builds. Where a build was not bisected, it is the first one seen with the flag, so that nothing is promised too early.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

Version = tuple[int, ...]


@dataclass(frozen=True)
class Flag:
    """`since`: the first release that has it; `until`: the first that has it no more; None where it always was, or still is."""

    engine: str
    name: str
    since: Version | None = None
    until: Version | None = None


FLAGS: tuple[Flag, ...] = (
    Flag("vllm", "--speculative-model", None, (0, 8, 3)),
    Flag("vllm", "--speculative-config", (0, 8, 3)),
    Flag("vllm", "--disable-log-stats"),
    Flag("vllm", "VLLM_LOG_STATS_INTERVAL", (0, 11)),
    Flag("vllm", "--api-server-count", (0, 9)),
    Flag("vllm", "--enable-per-request-metrics", (0, 25)),
    Flag("vllm", "--per-request-spec-decode-metrics", (0, 29)),
    Flag("sglang", "--speculative-algorithm", (0, 4)),
    Flag("sglang", "--decode-log-interval", (0, 4)),
    Flag("sglang", "--log-requests-level", (0, 4, 3)),
    Flag("sglang", "--export-metrics-to-file", (0, 5, 5)),
    Flag("sglang", "return_meta_info", (0, 5, 13)),
    Flag("llama.cpp", "--model-draft"),
    Flag("llama.cpp", "--draft-max", None, (9220,)),
    Flag("llama.cpp", "--spec-type", (9220,)),
    Flag("llama.cpp", "--spec-draft-n-max", (9220,)),
    Flag("llama.cpp", "-lv 4", (9220,)),
    Flag("llama.cpp", "timings_per_token", (4970,)),
    Flag("tensorrt-llm", "enable_iter_perf_stats", (0, 17)),
    Flag("tensorrt-llm", "print_iter_log", (0, 17)),
    Flag("tensorrt-llm", "return_perf_metrics", (1, 0)),
    Flag("lmdeploy", "--enable-metrics", (0, 9)),
)
_NUMBER = re.compile(r"\d{1,6}(?:\.\d{1,6}){0,3}")
#: A range of releases in the words of a dialect: `V1 0.19-0.23`, `0.5.3-0.5.10, rate counts the bonus`.
_RANGE = re.compile(r"(?<![\d.])(\d{1,3}\.\d{1,3}(?:\.\d{1,3})?)(?:-(\d{1,3}\.\d{1,3}(?:\.\d{1,3})?)|\+)?(?![\d.])")


def version(text: str | None) -> Version | None:
    """A release as numbers (`0.11.2`, `v1.2.0rc1`, `b9219`); None where the text is none."""
    found = _NUMBER.search(text or "")
    return tuple(int(part) for part in found[0].split(".")) if found else None


def newest(families: Sequence[str]) -> Version | None:
    """The newest release whose words these are, where the words are of an era that ended; None where it may go on."""
    ends: list[Version] = []
    for family in families:
        found = _RANGE.search(family)
        if found is None or found[2] is None:
            return None
        end = version(found[2])
        ends += [end] if end else []
    return max(ends, default=None)


def known(engine: str, text: str) -> list[Flag]:
    """The flags of an engine that a text names."""
    return [flag for flag in FLAGS if flag.engine == engine and flag.name in text]


def caveat(engine: str, text: str, at: Version | None) -> str | None:
    """What must be said beside advice that names flags: that the release lacks one, or, where it is unknown, which has it.

    None where nothing must be said.
    """
    said = []
    for flag in known(engine, text):
        if at is not None and flag.since is not None and at[: len(flag.since)] < flag.since:
            said.append(f"{flag.name} needs {_shown(engine, flag.since)}; this is {_shown(engine, at)}")
        elif at is not None and flag.until is not None and at[: len(flag.until)] >= flag.until:
            said.append(f"{flag.name} is gone from {_shown(engine, flag.until)} on; this is {_shown(engine, at)}")
        elif at is None and flag.since is not None:
            said.append(f"{flag.name} from {_shown(engine, flag.since)} on")
        elif at is None and flag.until is not None:
            said.append(f"{flag.name} before {_shown(engine, flag.until)}")
    if not said:
        return None
    return "; ".join(said) + ("" if at is not None else "; the input does not say its version")


def _shown(engine: str, at: Version) -> str:
    return f"b{at[0]}" if engine == "llama.cpp" else ".".join(str(part) for part in at)

"""A probe in one sentence and one table."""

from collections.abc import Mapping
from typing import Any

from sdtrace.results.numbers import per_step, times
from sdtrace.results.report import Section


def headline(d: Mapping[str, Any]) -> str:
    """How fast, beside whether it is right."""
    told = [f"{d['requests']:,} answers, {d['tokens']:,} tokens"]
    if d["left_out"]:
        why, n = max(d["left_out"].items(), key=lambda pair: pair[1])
        gone = sum(d["left_out"].values())
        told.append(
            f"{gone:,} of {gone + d['requests']:,} requests left out" + (f": {why}" if n == gone else f", {n:,}: {why}")
        )
    if d["tokens_per_step"] is not None and d["speculates"]:
        rate = f", {d['acceptance']:.0%} of drafted tokens accepted" if d["acceptance"] is not None else ""
        told.append(f"{per_step(d['tokens_per_step'])} tokens per step{rate}")
    elif not d["speculates"]:
        told.append("nothing drafted that a counter shows")
    if d["tokens_per_second_per_request"] is not None:
        told.append(f"{d['tokens_per_second_per_request']:.3g} tokens/s a request, {d['concurrency']} at a time")
    if d["speed_up"] is not None:
        told.append(f"{times(d['speed_up'])}x the other server")
    return ", ".join(told)


def section(d: Mapping[str, Any]) -> Section:
    """The figures."""
    rows: list[list[Any]] = [
        ["answers", d["requests"], f"{d['tokens']:,} tokens in {d['seconds']:.1f} s"],
        ["tokens per second of a request", d["tokens_per_second_per_request"], f"median, {d['concurrency']} at a time"],
        ["tokens per step", d["tokens_per_step"], "counters before and after; other traffic counts too"],
        ["acceptance, of drafted", d["acceptance"], "the same"],
    ]
    if (other := d["against"]) is not None:
        rows += [
            ["speed against the other server", d["speed_up"], "median tokens per second of a request over the other's"],
            [
                "greedy answers that part",
                other["parted"],
                f"of {other['greedy_pairs']:,}; {other['near_ties']:,} at a near tie",
            ],
            [
                "sampled answers drawn alike",
                other["sampled_p"],
                f"p-value of {other['sampled_pairs']:,} pairs; 12 are the least",
            ],
            ["surprisal of sampled answers", other["surprisal_z"], "difference in standard deviations"],
        ]
    rows += [["left out", n, why] for why, n in d["left_out"].items()]
    says = f"{d['engine']} {d['engine_version'] or ''} was asked {d['requests']:,} times: {headline(d)}."
    return Section("probe", "The probe", says, ["figure", "value", "meaning"], rows, per_step=["tokens per step"])

"""The time of a step in one sentence."""

from typing import Any

from sdtrace.render.text import number


def step_time(time: dict[str, Any]) -> str:
    """Parts of the step, speed-up or its bounds, what to remove first."""
    parts = [f"{name} {number(time[f'{name}_ms'])}" for name in ("draft", "verify", "sample") if time[f"{name}_ms"]]
    text = (
        f"{number(time['step_ms'])} ms a step: {', '.join([*parts, 'unattributed ' + number(time['unattributed_ms'])])}"
    )
    if time["hidden_ms"]:
        text += f" ({number(time['hidden_ms'])} hidden by overlap)"
    text += _speedup(time)
    if time["bottleneck"]:
        gain = time["gain_if_removed"][time["bottleneck"]]
        text += f"; bottleneck: {time['bottleneck']} (+{gain:.0%} without it)"
    return text


def _speedup(time: dict[str, Any]) -> str:
    low, high = time["speedup_low"], time["speedup_high"]
    if time["speedup"] is not None:
        ends = f" ({low:.2f} to {high:.2f})" if low is not None and high is not None else ""
        return f"; {time['speedup']:.2f}x plain decoding{ends}, baseline {number(time['baseline_ms'])} ms ({time['baseline_basis']})"
    if high is not None:
        least = f"at least {low:.2f}x and " if low is not None else ""
        return f"; {least}at most {high:.2f}x plain decoding (bounds)"
    return ""

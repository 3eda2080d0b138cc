"""The time of a step in one sentence."""

from sdtrace.render.text import number
from sdtrace.results.numbers import ms, times
from sdtrace.results.words import IF_GONE
from sdtrace.schema.json_values import Json


def step_time(time: Json) -> str:
    """Parts of the step, speed-up or its bounds, what to remove first; of counts, tokens per second and their load."""
    if "tokens_per_second" in time:
        return _counted(time)
    parts = [f"{name} {ms(time[f'{name}_ms'])}" for name in ("draft", "verify", "sample") if time[f"{name}_ms"]]
    text = f"{ms(time['step_ms'])} a step: {', '.join([*parts, 'unattributed ' + ms(time['unattributed_ms'])])}"
    if time["hidden_ms"]:
        text += f" ({ms(time['hidden_ms'])} hidden by overlap)"
    text += _speedup(time)
    if time["bottleneck"]:
        gain = time["gain_if_removed"][time["bottleneck"]]
        text += f"; if {IF_GONE[time['bottleneck']]}, throughput would rise {gain:.0%}"
    return text


def _counted(time: Json) -> str:
    whole, one, running = time["engine_tokens_per_second"], time["tokens_per_second"], time["running"]
    parts = []
    if whole is not None:
        parts.append(f"{number(whole)} tokens/s" + ("" if running is None else f" at {number(running)} running"))
    if one is not None and (whole is None or running != 1):
        parts.append(f"{number(one)} tokens/s of a request")
    if time["step_ms"] is not None:
        parts.append(f"{ms(time['step_ms'])} a step")
    return ", ".join(parts)


def _speedup(time: Json) -> str:
    low, high = time["speedup_low"], time["speedup_high"]
    if time["speedup"] is not None:
        ends = f" ({times(low)} to {times(high)})" if low is not None and high is not None else ""
        return f"; {times(time['speedup'])}x plain decoding{ends}, baseline {ms(time['baseline_ms'])} ({time['baseline_basis']})"
    if high is not None:
        least = f"at least {times(low)}x and " if low is not None else ""
        return f"; {least}at most {times(high)}x plain decoding (bounds)"
    return ""

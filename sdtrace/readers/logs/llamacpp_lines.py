"""The figures of llama.cpp's lines: acceptance of a request, cumulative statistics, rounds, adaptive depth, summaries."""

import math
import re
from collections.abc import Sequence

from sdtrace.readers.logs.dialect import number
from sdtrace.schema.counters import Row

RATE = re.compile(
    r"draft acceptance(?: rate)? = (?P<rate>\d+\.\d{5}) \(\s*(?P<acc>\d{1,15}) accepted /\s*(?P<gen>\d{1,15}) generated\)"
    r"(?:, mean (?:acceptance length|len) =\s*(?P<len>\d+\.\d\d))?(?:, acceptance rate per position = \((?P<pos>[\d., ]*)\))?"
)
EVAL = re.compile(r"(?<!prompt )eval time =\s*(\d+\.\d+) ms /\s*(\d{1,15}) (?:tokens|runs)")
PROMPT = re.compile(r"prompt eval time =\s*\d+\.\d+ ms /\s*(\d{1,15}) tokens")
POSITIONS = re.compile(r"acc per pos = \(([\d., ]+)\)")
STATISTICS = re.compile(
    r"statistics\s+(?P<impl>[\w-]+): #calls(?:\(b,g,a\))? =\s*(?P<b>\d+)(?:\s+(?P<g>\d+)\s+(?P<a>\d+))?, "
    r"#gen drafts =\s*(?P<gd>\d{1,15}), #acc drafts =\s*(?P<ad>\d{1,15}), #gen tokens =\s*(?P<gt>\d{1,15}), "
    r"#acc tokens =\s*(?P<at>\d{1,15})(?!\d)"
    r"(?:, #mean acc len = (?P<len>\d+\.\d\d))?(?:, #acc rate/pos = \((?P<pos>[\d., ]*)\))?"
    r"(?:, dur\(b,g,a\) = [\d.]+, (?P<dur>[\d.]+), [\d.]+ ms)?"
)
ROUND = re.compile(
    r"slot\s+\S+: id\s+(?P<slot>\d+) \| task (?P<task>-?\d+) \| accepted\s+(?P<acc>\d{1,15})/\s*(?P<gen>\d{1,15}) draft tokens"
    r"(?P<restored> \(restore checkpoint\))?(?P<debug>, new n_tokens)?"
)
ADAPTIVE = re.compile(
    r"adaptive draft depth seq (?P<seq>\d+): \d+ -> (?P<k>\d{1,15}) \("
    r"(?:(?!adaptive draft|cur_accepted=).)*+cur_accepted=(?P<acc>\d{1,15}), cur_generated=(?P<gen>\d{1,15})"
)
#: The speed of llama-speculative, in front of its summary.
DECODED = re.compile(r"\bdecoded\s+(\d{1,15}) tokens in\s+(\d+\.\d+) seconds, speed:\s+(\d+\.\d+) t/s")
SUMMARY = re.compile(r"\b(n_drafted|n_accept|n_predict|n_draft)\s+= +(\d{1,15})\s*$")
RELEASED = re.compile(r"slot\s+release: id\s+(?P<slot>\d+) \| task (?P<task>-?\d+) \| stop processing")

#: How far apart, of their number, steps may lie that fit the printed shares, for one of them to be taken.
NARROW = 0.02
_WORDS = {"gd": "#gen drafts", "ad": "#acc drafts", "gt": "#gen tokens", "at": "#acc tokens", "len": "#mean acc len"}


def acceptance(match: re.Match[str], task: str | None, k: int | None) -> Row:
    """A request: accepted without the bonus, drafted behind the n_min filter."""
    accepted, drafted, length = int(match["acc"]), int(match["gen"]), number(match["len"])
    row: Row = {"surface": "request", "basis": "request", "family": _family(match)}
    row |= {"request_id": f"task {task}" if task else None, "accepted": accepted, "drafted": drafted, "k": k}
    row |= {"said_rate": number(match["rate"]), "said_length": length, "length": length}
    row |= {"drafts": _drafts(accepted, drafted, length)}
    row["said"] = {"draft acceptance": match["rate"], "accepted": accepted, "generated": drafted, "mean len": length}
    if match["pos"]:
        by_position(row, match["pos"])
    return row


def stepped(row: Row) -> Row:
    """A request's steps from its tokens: the first comes from the prefill, every step gives one and those it accepts, so
    all steps are n_gen - 1 - accepted. Where the printed mean length allows that number, every step drafted; where no
    length is printed (generation A), steps that drafted are at most these. A stop inside a draft makes them too few.
    """
    emitted, accepted, drafted = row.get("emitted"), row.get("accepted"), row.get("drafted")
    if emitted is None or not drafted or accepted is None:
        return row
    every, length = emitted - 1 - accepted, row.get("said_length")
    if every < 1 or (row.get("k") and drafted > row["k"] * every):
        return row
    if length is None:
        return row | {"steps": float(every)} if row.get("drafts") is None else row
    low, high = _between(accepted, length)
    if said := row.get("said_positions"):
        low, high = max(low, _by_shares(accepted, said)[0]), min(high, _by_shares(accepted, said)[1])
    if not low <= every <= high:
        return row
    return row | {"drafts": float(every)} | _by_position(said, float(every))


def _by_shares(accepted: int, shares: Sequence[float]) -> tuple[float, float]:
    """Steps that give the printed shares, each rounded to three decimals."""
    total, slack = sum(shares), 0.0005 * len(shares)
    return accepted / (total + slack), accepted / (total - slack) if total > slack else math.inf


def _by_position(shares: Sequence[float] | None, drafts: float) -> Row:
    return {"accepted_by_position": [float(round(v * drafts)) for v in shares]} if shares else {}


def _between(accepted: int, length: float) -> tuple[float, float]:
    """Steps that give the printed mean length, rounded to two decimals."""
    return accepted / (length - 1 + 0.005), accepted / max(length - 1 - 0.005, 1e-9)


def generated(busy_ms: float | None, tokens: int) -> Row:
    """How long a request generated, and how much: of one without an acceptance line, all that is known of it."""
    row: Row = {"surface": "eval time", "basis": "request", "family": "time of a request"}
    return row | {"emitted": tokens, "busy_ms": busy_ms}


def nothing_drafted(task: str | None, k: int | None) -> Row:
    """A request that ended without an acceptance line while speculation is configured: nothing was drafted."""
    row: Row = {"surface": "request", "basis": "request", "family": None, "request_id": f"task {task}"}
    return row | {"drafts": 0, "drafted": 0, "accepted": 0, "k": k, "said": {"draft acceptance": "no line"}}


def _drafts(accepted: int, drafted: int, length: float | None) -> float | None:
    """Rounds from the printed mean length, where its rounding leaves one whole number; None otherwise."""
    if length is None or accepted == 0 or length <= 1:
        return None
    low, high = _between(accepted, length)
    if high - low > 2:
        return None
    whole = [n for n in range(max(int(low), 1), int(high) + 2) if low <= n <= high and n <= drafted]
    return float(whole[0]) if len(whole) == 1 else None


def by_position(row: Row, text: str) -> None:
    """Rates by position, without the zeros that pad them to the longest chained implementation."""
    values = [number(v) for v in text.split(",")]
    while values and not values[-1]:
        values.pop()
    row["said_positions"] = [v if v is not None else 0.0 for v in values]
    drafts = row.get("drafts")
    if drafts is None and row.get("accepted") and sum(row["said_positions"]):
        low, high = _by_shares(row["accepted"], row["said_positions"])
        if high - low <= max(1.0, NARROW * low):  # shares of few accepted tokens tell little
            row["drafts"] = drafts = float(round(row["accepted"] / sum(row["said_positions"])))
    if drafts:
        row |= _by_position(row["said_positions"], drafts)


def _family(match: re.Match[str]) -> str:
    if "rate =" in match[0]:
        return "generation A (to May 2026)"
    if match["pos"] is not None:
        return "generation C (June 2026)"
    return "generation D (Aug 2026+)" if match["len"] else "generation B (May-June 2026)"


#: The newest build seen whose accept calls skip steps in which nothing was accepted, and print no mean length.
SKIPS_TO = 9219


def statistics(match: re.Match[str], build: int | None = None) -> Row:
    """Totals of one implementation since the server began; on recurrent targets replays are counted as accepted.

    A step is a draft that was judged. Builds that print a mean length make an accept call for each of them (it divides
    by the calls; with requests in flight more drafts are generated), and llama-speculative-simple also makes calls
    without a draft. Builds before make no call where nothing was accepted: then the calls are the drafts accepted in
    part, and every generated draft is a step. The number of the build decides where the log states it, the counts otherwise.
    """
    calls, drafts, taken = number(match["a"]), float(match["gd"]), float(match["ad"])
    row: Row = {"surface": "statistics", "basis": "lifetime", "family": "cumulative since server start"}
    skips = calls is not None and match["len"] is None and calls == taken < drafts
    if build is not None and calls is not None:
        skips = build <= SKIPS_TO and calls < drafts
    if skips:
        row["family"] = "cumulative since server start; accept calls skip steps in which nothing was accepted"
    row |= {"drafts": drafts if calls is None or skips else min(drafts, calls)}
    row |= {"drafted": float(match["gt"]), "accepted": float(match["at"])}
    row |= {"said_length": number(match["len"]), "length": number(match["len"]), "draft_ms": number(match["dur"])}
    row["said"] = {name: match[k] for k, name in _WORDS.items() if match[k] is not None}
    row["said"]["calls"] = calls
    if match["pos"]:
        by_position(row, match["pos"])
    return row


def one_round(match: re.Match[str]) -> Row:
    """One verification of one slot; builds before December 2025 print 0 for the drafted tokens."""
    accepted, drafted = int(match["acc"]), int(match["gen"])
    row: Row = {
        "surface": "round",
        "basis": "round",
        "family": "llama-server",
        "request_id": f"task {match['task']}",
    }
    row |= {"drafts": 1, "accepted": accepted, "drafted": drafted or None, "series": f"slot {match['slot']}"}
    return row | {"emitted": accepted + 1, "said": {"accepted": f"{accepted}/{drafted}"}}


def adaptive(match: re.Match[str]) -> Row:
    """Totals that the adaptive depth of PR 27210 goes by."""
    row: Row = {"surface": "adaptive depth", "basis": "lifetime", "family": "PR 27210", "k": int(match["k"])}
    row |= {"series": f"seq {match['seq']}", "drafted": int(match["gen"]), "accepted": int(match["acc"])}
    return row | {"said": {"cur_accepted": match["acc"], "cur_generated": match["gen"]}}


def summary(parts: dict[str, int]) -> Row:
    """llama-speculative's last block; with several branches it counts draft levels, not tokens."""
    row: Row = {
        "surface": "summary",
        "basis": "run",
        "family": "llama-speculative",
        "k": parts.get("n_draft"),
    }
    row |= {"drafted": parts["n_drafted"], "accepted": parts["n_accept"], "emitted": parts.get("n_predict")}
    every = parts.get("n_predict", 0) - parts["n_accept"]  # each step gives one token and those that it accepts
    if every > 0 and (row["k"] is None or parts["n_drafted"] <= row["k"] * every):
        row["steps"] = float(every)
    return row | {"said": dict(parts)}

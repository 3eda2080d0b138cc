"""An engine's metrics by name: which series count what, and one scrape of them as windows.

Counters become samples of class `counter`, one a label set (engine, rank), so that differences, resets and sums are
taken per series and nothing is counted twice. Gauges hold a last value and are never summed.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

#: prefix of the names -> engine
ENGINES = {
    "vllm": "vllm",
    "llamacpp": "llama.cpp",
    "lmdeploy": "lmdeploy",
    "sglang": "sglang",
    "trtllm": "tensorrt-llm",
    "tgi": "tgi",
}
NAME = re.compile(r"^(vllm|llamacpp|lmdeploy|sglang|trtllm|tgi)[:_]([a-zA-Z_:]\w*)")

#: name without prefix (and without _total) -> column
COUNTERS = {
    "spec_decode_num_drafts": "drafts",
    "spec_decode_num_draft_tokens": "drafted",
    "spec_decode_num_accepted_tokens": "accepted",
    "spec_decode_num_emitted_tokens": "spec_emitted",
    "generation_tokens": "emitted",
    "tokens_predicted": "emitted",
    "spec_verify_calls": "verify_calls",
}
GAUGES = {
    "spec_accept_length": "length",
    "spec_accept_rate": "said_rate",
    "num_requests_running": "running",
    "num_running_reqs": "running",
    "requests_processing": "running",
    "num_requests_waiting": "waiting",
    "num_queue_reqs": "waiting",
    "requests_deferred": "waiting",
    "kv_cache_usage_perc": "kv_usage",
    "gpu_cache_usage_perc": "kv_usage",
    "gen_throughput": "generation_tps",
    "spec_decode_acceptance_length": "length",
    "spec_decode_draft_acceptance_rate": "said_rate",
}
_PER_POSITION = ("spec_decode_num_accepted_tokens_per_pos", "spec_decode_accepted_tokens")
_DRAFTED_PER_POSITION = "spec_decode_drafted_tokens"
_IGNORED = {"position", "token_position", "le", "quantile"}
#: labels that tell where a sample comes from, in the order in which they are shown
_WHERE = ("instance", "job", "model_name", "engine", "dp_rank", "tp_rank", "pp_rank", "pod")


class Scrape:
    """One scrape: values by engine and series."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
        self.values: dict[tuple[str, str, str], dict[str, Any]] = defaultdict(dict)

    def take(self, name: str, labels: Mapping[str, str], value: float, line: int | None, at: float | None) -> None:
        """Add a sample; values that are not finite are not data."""
        self.seen.add((name, tuple(sorted(labels.items()))))
        found = NAME.match(name)
        if not found or value - value != 0:
            return
        engine, bare = ENGINES[found[1]], found[2].removesuffix("_total")
        where = " ".join(f"{n}={labels[n]}" for n in _WHERE if n in labels and n not in _IGNORED)
        position = labels.get("position") or labels.get("token_position")
        if bare in _PER_POSITION and position is not None and position.isdigit():
            self._put(engine, where, "counter", line, at).setdefault("positions", {})[int(position)] = value
        elif bare == _DRAFTED_PER_POSITION and position is not None and position.isdigit():
            self._put(engine, where, "counter", line, at).setdefault("drafted_positions", {})[int(position)] = value
        elif bare in COUNTERS and position is None:
            self._put(engine, where, "counter", line, at)[COUNTERS[bare]] = value
        elif bare in GAUGES:
            self._put(engine, where, "gauge", line, at)[GAUGES[bare]] = value

    def _put(self, engine: str, where: str, basis: str, line: int | None, at: float | None) -> dict[str, Any]:
        row = self.values[(engine, where, basis)]
        row.setdefault("line", line)
        if at is not None:
            row["at"] = at
        return row

    def rows(self, at: float | None) -> list[dict[str, Any]]:
        """Windows of this scrape; series that say nothing of speculation are left out where another does."""
        made = []
        for (engine, where, basis), values in self.values.items():
            positions, drafted = values.pop("positions", None), values.pop("drafted_positions", None)
            emitted, calls = values.pop("spec_emitted", None), values.pop("verify_calls", None)
            row: dict[str, Any] = {"engine": engine, "surface": "metrics", "basis": basis, "series": where, "at": at}
            row |= values
            if positions:
                row["accepted_by_position"] = _listed(positions)
            if drafted:
                row["drafted_by_position"] = _listed(drafted)
                row.setdefault("drafts", drafted.get(0))
            if emitted is not None:  # V0 adds running totals to its counters: only its gauges are usable
                row |= dict.fromkeys(("drafts", "drafted", "accepted"))
                row["family"] = "V0, counters grow with the square of time"
            if calls is not None and row.get("drafts") is None:
                row["drafts"] = calls
            if basis == "gauge":
                row["said_length"] = row.get("length")
                row["rate"] = row.get("said_rate") if engine != "sglang" else None
            made.append(row)
        return made


def _listed(values: Mapping[int, float]) -> list[float]:
    return [values.get(j, 0.0) for j in range(min(max(values), 4096) + 1)]

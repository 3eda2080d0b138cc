"""An engine's metrics by name: which series count what, and one scrape of them as windows.

Counters become samples of basis `counter`, one a label set (engine, rank), so that differences, resets and sums are
taken per series and nothing is counted twice. Gauges hold a last value and are never summed. Ray Serve puts `ray_` in
front and writes the colon as an underscore. TGI's histogram of skipped tokens has one sample a step: its sum are
accepted tokens, its count steps, its buckets tell the positions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sdtrace.readers import sglang_meta
from sdtrace.schema.counters import Row
from sdtrace.schema.json_values import Json

#: prefix of the names -> engine
ENGINES = {
    "vllm": "vllm",
    "llamacpp": "llama.cpp",
    "lmdeploy": "lmdeploy",
    "sglang": "sglang",
    "trtllm": "tensorrt-llm",
    "tgi": "tgi",
    "tokenspeed": "tokenspeed",
}
NAME = re.compile(rf"^(?:ray_)?({'|'.join(ENGINES)})[:_]([a-zA-Z_:]\w*)")
#: how the name of a sample of an engine may begin
BEGINS = tuple(f"{ray}{name}{sign}" for ray in ("", "ray_") for name in ENGINES for sign in ":_")

#: name without prefix (and without _total) -> column
COUNTERS = {
    "spec_decode_num_drafts": "drafts",
    "spec_decode_num_draft_tokens": "drafted",
    "spec_decode_num_accepted_tokens": "accepted",
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
#: vLLM alone: one sample a request-step, a step without a draft too (SGLang's series of that name counts tokens)
STEPS = ("inter_token_latency_seconds_count", "time_per_output_token_seconds_count")
#: counters with a label `position` (vLLM, llama.cpp, LMDeploy) or `token_position` (TensorRT-LLM, by request at finish)
_ACCEPTED_AT = ("spec_decode_num_accepted_tokens_per_pos", "spec_decode_accepted_tokens")
_DRAFTED_AT = "spec_decode_drafted_tokens"
#: TGI: tokens beyond the first of every step
_SKIPPED = "request_skipped_tokens"
#: V0 alone; its counters add up running totals, so they say nothing
_V0 = ("spec_decode_num_emitted_tokens", "spec_decode_efficiency")
#: SGLang: verified tokens a step, one more than are drafted
_DRAFT_TOKENS = "spec_num_draft_tokens"
#: TensorRT-LLM: drafting time over the time of the last iteration
_OVERHEAD = "spec_decode_draft_overhead"
#: labels that do not tell one process from another: what is counted, and who scraped it
_NO_PLACE = frozenset(
    {"position", "token_position", "le", "quantile", "job", "prometheus", "prometheus_replica", "replica", "monitor"}
    | {"otel_scope_name", "otel_scope_version", "otel_scope_schema_url"}  # Ray: the library that counts
    | {"tp_rank", "pp_rank", "moe_ep_rank"}  # ranks of one replica count the same batch once more
)
#: when a counter began, in Unix seconds: scrapes of one process agree on it
_BEGUN = "spec_decode_num_draft_tokens_created"
_INTERESTING = {*COUNTERS, *GAUGES, *_ACCEPTED_AT, _DRAFTED_AT, *_V0, *STEPS, _OVERHEAD, _DRAFT_TOKENS, _BEGUN}
_INTERESTING |= {f"{_SKIPPED}_{part}" for part in ("bucket", "sum", "count")}

Labels = tuple[tuple[str, str], ...]


def wanted(name: str) -> tuple[str, str] | None:
    """(engine, name without prefix and _total) of a sample that windows are made of; None for every other one.

    `_bucket`, `_sum` and most `_created` samples are never counts of ours.
    """
    found = NAME.match(name)
    if not found or found.end() != len(name):
        return None
    bare = found[2].removesuffix("_total")
    engine = ENGINES[found[1]]
    if (bare in STEPS and engine != "vllm") or (bare.startswith(_SKIPPED) and engine != "tgi"):
        return None
    return (engine, bare) if bare in _INTERESTING else None


def pattern() -> str:
    """A regular expression (of Prometheus, anchored) for every name that `wanted` takes."""
    return f"(ray_)?({'|'.join(ENGINES)})[:_]({'|'.join(sorted(_INTERESTING))})(_total)?"


def place(labels: Mapping[str, str]) -> str:
    """Which process a sample comes from: every label but those that name positions or the scraper.

    Two scrapers of one target (an HA pair, two jobs) give one place, so that nothing is added up twice.
    """
    return " ".join(f"{n}={v}" for n, v in sorted(labels.items()) if n not in _NO_PLACE)


@dataclass
class Scrape:
    """One scrape: values by engine, place and kind."""

    taken: set[tuple[str, str, str]] = field(default_factory=set)
    values: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    begun: dict[tuple[str, str], float] = field(default_factory=dict)

    def take(
        self, engine: str, bare: str, labels: Mapping[str, str], where: str, value: float, line: int | None
    ) -> None:
        """Add a sample; values that are not finite are not data, and a second scraper's copy is not added again."""
        position = labels.get("position") or labels.get("token_position") or ""
        if bare.startswith(_SKIPPED):
            position = labels.get("le", "")
        if (bare, where, position) in self.taken or value - value != 0:
            return
        self.taken.add((bare, where, position))
        if re.fullmatch(r"[0-9]{1,4}", position) and (bare in _ACCEPTED_AT or bare == _DRAFTED_AT):
            kind = "requests" if engine == "tensorrt-llm" else "counter"
            name = "drafted_positions" if bare == _DRAFTED_AT else "positions"
            self._row(engine, where, kind, line).setdefault(name, {})[int(position)] = value
        elif bare.startswith(_SKIPPED):
            self._row(engine, where, "counter", line).setdefault("skipped", {})[position or bare] = value
        elif bare in _V0:
            self._row(engine, where, "gauge" if bare == _V0[1] else "counter", line)[bare] = value
        elif bare == _BEGUN:
            self.begun[engine, where] = value
        elif bare in COUNTERS and not position:
            self._row(engine, where, "counter", line)[COUNTERS[bare]] = value
        elif bare in STEPS:
            self._row(engine, where, "counter", line)["steps"] = value
        elif bare in GAUGES or bare in (_OVERHEAD, _DRAFT_TOKENS):
            self._row(engine, where, "gauge", line)[GAUGES.get(bare, bare)] = value

    def _row(self, engine: str, where: str, kind: str, line: int | None) -> Row:
        return self.values.setdefault((engine, where, kind), {"line": line})

    def rows(self, at: float | None) -> list[Row]:
        """Windows of this scrape, one a place and kind."""
        v0 = {where for (_, where, _), values in self.values.items() if _V0[0] in values or _V0[1] in values}
        rows = [
            _window(engine, where, kind, values, at, v0=where in v0)
            for (engine, where, kind), values in self.values.items()
        ]
        for row in rows:
            begun = self.begun.get((row["engine"], row["series"]))
            if begun is not None and row["basis"] == "counter":
                row["said"] = {**row.get("said", {}), "created": begun}
        return rows


def _window(engine: str, where: str, kind: str, values: Json, at: float | None, *, v0: bool) -> Row:
    positions, drafted = values.pop("positions", None), values.pop("drafted_positions", None)
    efficiency, calls = values.pop(_V0[1], None), values.pop("verify_calls", None)
    overhead, nodes = values.pop(_OVERHEAD, None), values.pop(_DRAFT_TOKENS, None)
    skipped = values.pop("skipped", None)
    values.pop(_V0[0], None)
    row: Row = {"engine": engine, "surface": "metrics", "series": where, "at": at, **values}
    row["basis"] = "gauge" if kind == "gauge" else "counter"
    if skipped:
        row |= _histogram(skipped)
    if positions:
        row["accepted_by_position"] = _listed(positions)
    if drafted:
        row["drafted_by_position"] = _listed(drafted)
    if kind == "requests":  # TensorRT-LLM counts by request when it ends, beside counters by iteration
        sums = {
            name: float(sum(part.values())) for name, part in (("accepted", positions), ("drafted", drafted)) if part
        }
        row |= {"surface": "metrics by request", "drafts": (drafted or {}).get(0), **sums}
    if v0 and kind == "counter":  # V0 adds running totals to its counters: only its gauges are usable
        row |= dict.fromkeys(("drafts", "drafted", "accepted"))
        row["family"] = "V0: its counters grow with the square of time and are not used"
    if calls is not None and row.get("drafts") is None:  # SGLang: verifications of requests that ended
        row |= {"drafts": calls, "family": "verifications of finished requests"}
    if kind == "gauge":
        row["said_length"] = row.get("length")
        row["rate"] = row.get("said_rate")
        if engine == "sglang":
            row |= sglang_meta.means(row.get("length"), row.get("said_rate"), int(nodes) - 1 if nodes else None)
        if overhead is not None:
            row["said"] = {"draft_overhead of the last iteration": overhead}
        if v0:
            row |= {"family": "V0: means since the process began", "said": {"efficiency": efficiency}}
    return row


def _histogram(skipped: Mapping[str, float]) -> Row:
    """Steps, accepted tokens and positions of TGI's histogram; buckets 0, 1, 2, ... are needed for the positions."""
    steps, accepted = skipped.get(f"{_SKIPPED}_count"), skipped.get(f"{_SKIPPED}_sum")
    row: Row = {"drafts": steps, "steps": steps, "accepted": accepted}
    row["family"] = "every step of decoding, those without a draft too"
    ends = sorted(float(le) for le in skipped if re.fullmatch(r"\d{1,4}(?:\.0)?", le))
    at_most = {float(le): n for le, n in skipped.items() if re.fullmatch(r"\d{1,4}(?:\.0)?", le)}
    if steps is not None and ends == [float(j) for j in range(len(ends))] and ends:
        row["accepted_by_position"] = [steps - at_most[le] for le in ends if steps > at_most[le]] or [0.0]
    return row


def _listed(values: Mapping[int, float]) -> list[float]:
    return [values.get(j, 0.0) for j in range(min(max(values), 4096) + 1)]

"""What each figure is in PromQL, by engine: the names that the engine exports, and ratios of records that hold both sides.

Ratios are made series by series (engine, rank, replica), never of sums over series that count different things. vLLM,
llama.cpp, LMDeploy and tokenspeed count drafting steps, draft tokens and accepted tokens; TensorRT-LLM counts tokens alone
and holds the mean length of its last iteration as a gauge; SGLang has gauges alone. The names are those that
readers.metrics.series reads.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Engine:
    """The metrics of one engine, without its prefix; None where it exports none.

    `drafts` counts drafting steps, `drafted` and `accepted` tokens, `emitted` generated tokens, `at` accepted tokens by
    the label `label`. `length` (tokens a step, the verifier's own token included) and `rate` are gauges.
    """

    name: str
    prefix: str
    emitted: str | None = None
    drafts: str | None = None
    drafted: str | None = None
    accepted: str | None = None
    at: str | None = None
    label: str = "position"
    length: str | None = None
    rate: str | None = None
    running: str | None = None
    waiting: str | None = None
    kv_usage: str | None = None


_COUNTERS = {
    "drafts": "spec_decode_num_drafts_total",
    "drafted": "spec_decode_num_draft_tokens_total",
    "accepted": "spec_decode_num_accepted_tokens_total",
    "at": "spec_decode_num_accepted_tokens_per_pos_total",
}
_RUNNING = {"running": "num_requests_running", "waiting": "num_requests_waiting"}

ENGINES = (
    Engine("vllm", "vllm:", "generation_tokens_total", **_COUNTERS, **_RUNNING, kv_usage="kv_cache_usage_perc"),
    Engine(
        "sglang",
        "sglang:",
        "generation_tokens_total",
        length="spec_accept_length",
        rate="spec_accept_rate",
        running="num_running_reqs",
        waiting="num_queue_reqs",
    ),
    Engine(
        "tensorrt-llm",
        "trtllm_",
        drafted="spec_decode_num_draft_tokens_total",
        accepted="spec_decode_num_accepted_tokens_total",
        length="spec_decode_acceptance_length",
        running="num_requests_running",
        waiting="num_requests_waiting",
    ),
    Engine(
        "llama.cpp",
        "llamacpp:",
        "tokens_predicted_total",
        **_COUNTERS,
        running="requests_processing",
        waiting="requests_deferred",
    ),
    Engine("lmdeploy", "lmdeploy:", **_COUNTERS, **_RUNNING),
    Engine("tokenspeed", "tokenspeed:", **_COUNTERS, **_RUNNING),
)


@dataclass(frozen=True)
class Names:
    """How metrics are written in a query: behind Ray Serve, and of which targets alone."""

    ray: bool = False
    match: str = ""

    def of(self, engine: Engine, bare: str) -> str:
        """The selector of a metric: `vllm:x{job="a"}`; Ray Serve puts ray_ in front and knows no colon."""
        name = engine.prefix + bare
        return ("ray_" + name.replace(":", "_") if self.ray else name) + (f"{{{self.match}}}" if self.match else "")


def increase(names: Names, engine: Engine, bare: str, window: str) -> str:
    """How much a counter grew in the window, restarts left out."""
    return f"increase({names.of(engine, bare)}[{window}])"


def acceptance(names: Names, engine: Engine, window: str) -> str | None:
    """Accepted of drafted tokens, 0 to 1; None where the engine exports neither counters nor a gauge."""
    if engine.accepted and engine.drafted:
        over, under = (increase(names, engine, bare, window) for bare in (engine.accepted, engine.drafted))
        return f"{over} / ({under} > 0)"
    return f"avg_over_time({names.of(engine, engine.rate)}[{window}])" if engine.rate else None


def tokens_per_step(names: Names, engine: Engine, window: str) -> str | None:
    """Tokens emitted per drafting step, the verifier's own token included: 1 + accepted / drafts (Leviathan et al. 2023)."""
    if engine.accepted and engine.drafts:
        over, under = (increase(names, engine, bare, window) for bare in (engine.accepted, engine.drafts))
        return f"1 + {over} / ({under} > 0)"
    return f"avg_over_time({names.of(engine, engine.length)}[{window}])" if engine.length else None


def accepted_at(names: Names, engine: Engine, window: str) -> str | None:
    """Share of drafting steps in which the draft token of each position was accepted; one series a position."""
    if not (engine.at and engine.drafts):
        return None
    under = increase(names, engine, engine.drafts, window)
    return f"{increase(names, engine, engine.at, window)} / ignoring ({engine.label}) group_left ({under} > 0)"


def draft_length(names: Names, engine: Engine, window: str) -> str | None:
    """Draft tokens per drafting step."""
    if not (engine.drafted and engine.drafts):
        return None
    over, under = (increase(names, engine, bare, window) for bare in (engine.drafted, engine.drafts))
    return f"{over} / ({under} > 0)"


def enough(names: Names, engine: Engine, tokens: int, window: str) -> str | None:
    """True where at least so many tokens were drafted in the window; by gauges alone, where requests ran all along."""
    if engine.drafted:
        return f"{increase(names, engine, engine.drafted, window)} >= {tokens}"
    return f"min_over_time({names.of(engine, engine.running)}[{window}]) >= 1" if engine.running else None

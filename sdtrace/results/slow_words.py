"""What causes of side `slow` say: whom they blame, the sentence, what to do."""

from sdtrace.results.words import Side

#: Causes whose advice is read off the curve of draft lengths, which `sdtrace tune` prints.
BY_CURVE = frozenset({"verification-not-free", "tau-too-large", "tau-too-small"})

SLOW: dict[str, tuple[Side, str, str, str] | tuple[Side, str, str, str, str]] = {
    "speculation-off": (
        "slow",
        "config",
        "speculation is configured and does nothing",
        "read the engine's reason at the line named; remove the option that it cannot combine with speculation, or switch speculation off",
    ),
    "low-acceptance": (
        "slow",
        "drafter",
        "few of the drafted tokens are accepted",
        "shorten the draft to the positions that are accepted, then compare tokens per second with speculation off",
    ),
    "drafter-miswired": (
        "slow",
        "drafter",
        "no drafted token is accepted",
        "check that the drafter has the target's vocabulary, the right weights and the hidden states that it expects",
    ),
    "series-outlier": (
        "slow",
        "scheduler",
        "one engine accepts far less than the others with the same drafter",
        "take it out of the rotation and restart it; compare its start-up lines, version and traffic with those of another one",
    ),
    "idle-speculation": (
        "slow",
        "config",
        "most steps run without a draft",
        "see what keeps the drafter from drafting: a limit by batch size, a schedule, a threshold of confidence, requests that exclude it",
    ),
    "long-context-decay": (
        "slow",
        "drafter",
        "acceptance falls with the length of the context",
        "check the drafter's maximum position and RoPE scaling; train it on long contexts, or stop speculating beyond them",
    ),
    "traffic-shift": (
        "slow",
        "traffic",
        "the traffic changed, not the drafter",
        "compare acceptance within slices before blaming a deploy; choose the draft length or the drafter by slice",
    ),
    "draft-too-slow": (
        "slow",
        "drafter",
        "the draft model takes too much of the step",
        "use a smaller drafter or a head, run it on one device with CUDA graphs, or lower the draft length",
    ),
    "verification-not-free": (
        "slow",
        "verifier",
        "the verifying pass costs more than a plain one",
        "lower the draft length at large batches, or limit speculation by batch size",
    ),
    "host-overhead": (
        "slow",
        "scheduler",
        "the host keeps the device waiting",
        "look for synchronisation and Python work between the passes: sampling on the host, grammar masks, detokenisation",
    ),
    "tau-too-large": (
        "slow",
        "config",
        "too many tokens are drafted a step",
        "lower the draft length; the curve of lengths has the best one",
    ),
    "tau-too-small": (
        "slow",
        "config",
        "too few tokens are drafted a step",
        "raise the draft length; the curve of lengths goes as far as the record supports",
    ),
    "kv-pressure": (
        "slow",
        "scheduler",
        "requests wait for room in the KV cache",
        "give the cache more memory or admit fewer requests; the draft model's cache and lookahead slots count too",
    ),
    "prefill-heavy": (
        "slow",
        "traffic",
        "prompts take more time than answers",
        "speculation speeds up decoding only: look at prefix caching, chunked prefill and queueing instead",
    ),
    "graph-missed": (
        "slow",
        "config",
        "some steps run without their CUDA graph",
        "capture the sizes that occur, batch x (draft length + 1), or pad ragged drafts to one that was captured",
    ),
    "stragglers": (
        "slow",
        "scheduler",
        "all ranks wait for the slowest one",
        "batch requests with similar draft lengths together; compare clocks, topology and load of the rank that is slow",
    ),
}

"""What every cause says: side, whom it blames, the sentence, what to do. Names never change."""

from typing import NamedTuple

from sdtrace.results.slow_words import SLOW
from sdtrace.results.words import Side


class CauseWords(NamedTuple):
    """`side`, whom it blames, what it says, what to do; the check that proves it, where one check alone does."""

    side: Side
    blame: str
    says: str
    advice: str
    check: str | None = None
    head: str = ""  #: how `says` begins where a rule that was found, with its figures, follows in place of its end


#: Causes whose next step is a command with servers of the reader's own -> the page that has it.
PAGES = {"text-not-from-target": "sdtrace checks SD302"}

_ROWS: dict[str, tuple[Side, str, str, str] | tuple[Side, str, str, str, str]] = {
    "invalid-probabilities": (
        "wrong",
        "verifier",
        "probabilities are NaN, infinite or outside [0, 1]",
        "look for NaN rows in the logits of the step named; a kernel or a cast produced them before the sampler ran",
    ),
    "degenerate-target": (
        "wrong",
        "verifier",
        "the target's distribution is flat or one-hot where a model's cannot be",
        "compare the target's logits with a run without speculation; suspect an uninitialised or zeroed buffer",
    ),
    "sampling-params-ignored": (
        "wrong",
        "sampler",
        "the target is sampled without a parameter that the request asked for",
        "apply the request's sampling parameters to the target's logits once, before the test",
    ),
    "inverted-ratio": (
        "wrong",
        "sampler",
        "the ratio is upside down: accepted when r <= q/p",
        "swap target and draft probabilities in the acceptance test",
    ),
    "lenient-acceptance": (
        "wrong",
        "sampler",
        "the sampler accepts too much: lenient acceptance",
        "look for an acceptance threshold in the engine's flags and set it to its lossless value",
    ),
    "synthetic-acceptance": (
        "wrong",
        "config",
        "acceptance does not look at the models: a coin decides",
        "a benchmark setting is on (synthetic or simulated acceptance); remove it from production",
    ),
    "one-sided-sampling-params": (
        "wrong",
        "sampler",
        "sampling parameters are applied to one side of the ratio only",
        "apply temperature, top-k and top-p to the target before the test, as to the distribution that the draft was drawn from",
    ),
    "misaligned-draft-probs": (
        "wrong",
        "scheduler",
        "decisions used the draft probabilities of another row",
        "check how draft rows are gathered after batching, reordering and padding",
    ),
    "misaligned-target-probs": (
        "wrong",
        "verifier",
        "decisions used the target probabilities of another row",
        "check the index of the target's logits: position j is decided by the row before token j",
    ),
    "accepted-past-rejection": (
        "wrong",
        "sampler",
        "tokens were accepted after the first rejection of their step",
        "the accepted block must end at the first rejection: use the cumulative product of the decisions, not their sum",
    ),
    "decision-mismatch": (
        "wrong",
        "sampler",
        "accept/reject decisions are wrong and fit no known wrong rule",
        "compare one of the decisions below with the sampler's inputs; a replay with the real verifier tells whether p is right",
    ),
    "greedy-mismatch": (
        "wrong",
        "sampler",
        "tokens kept at temperature 0 are not the target's most probable ones",
        "the gap to the best token is too wide for a numerical tie; check the comparison of ids and the row it reads",
    ),
    "text-not-from-target": (
        "wrong",
        "sampler",
        "sampled tokens do not follow the logprobs that came with them",
        "send the same prompts with speculation off; where the text is right then, the verifier is wrong",
    ),
    "recovered-from-target": (
        "wrong",
        "sampler",
        "after a rejection the token is drawn from the target itself, not from the residual",
        "draw the recovered token from norm(max(0, p - q)) (Leviathan et al. 2023)",
    ),
    "recovered-not-residual": (
        "wrong",
        "sampler",
        "after a rejection the token cannot come from the residual distribution",
        "draw the recovered token from norm(max(0, p - q)), with q the distribution that the draft was drawn from",
    ),
    "bonus-missing": (
        "wrong",
        "sampler",
        "the bonus token is missing where every drafted token was accepted",
        "append the token drawn from the target after a fully accepted block; without it each such step loses a token",
        "SD121",
    ),
    "bonus-duplicated": (
        "wrong",
        "sampler",
        "the bonus token is appended twice",
        "append one token after a fully accepted block",
        "SD122",
    ),
    "token-accounting": (
        "wrong",
        "scheduler",
        "appended tokens do not add up with the decisions",
        "compare output_token_ids of the step named with its draft and num_accepted",
    ),
    "corrupt-text": (
        "wrong",
        "scheduler",
        "tokens were appended that the vocabulary does not have",
        "look at how ids of the step named were gathered, padded or mapped from the draft's vocabulary",
        "SD136",
    ),
    "emitted-after-stop": (
        "wrong",
        "scheduler",
        "tokens were kept after a stop id",
        "cut the accepted block at the first stop id before it is appended",
        "SD161",
    ),
    "draft-not-from-q": (
        "wrong",
        "drafter",
        "drafted tokens have draft probability 0: they were not drawn from the recorded q",
        "hand the verifier the draft distribution after temperature, top-k and top-p, the one that was sampled",
        "SD105",
    ),
    "uniforms-reused": (
        "wrong",
        "sampler",
        "uniform draws repeat where they must be independent",
        "draw a fresh uniform for every tested position; check seeds of generators across requests, ranks and graph replays",
        "SD171",
    ),
    "shared-noise": (
        "wrong",
        "sampler",
        "the recovered token is drawn with the noise that drew the draft",
        "give drafting and recovery noise of their own: a seed offset for the drafter, a key for each use (vllm#54282)",
    ),
    "degenerate-output": (
        "wrong",
        "verifier",
        "outputs run in loops",
        "run the same prompts without speculation; if they do not loop there, suspect the state after rejected tokens",
    ),
    "sampling-not-preserved": (
        "wrong",
        "sampler",
        "the engine verifies otherwise than the requests asked for",
        "use temperature 0, or a build and an algorithm whose verification samples as the request asks",
    ),
    "kv-corrupted": (
        "wrong",
        "scheduler",
        "state in the KV cache is not the request's",
        "stop trusting answers of this server; switch off overlap, cache sharing and the draft's cache one at a time",
    ),
    "metric-inconsistent": (
        "metric",
        "metric",
        "counts of a step contradict each other",
        "do not trust figures built on these counters until the recorder is mended",
    ),
    "record-broken": (
        "metric",
        "metric",
        "the record contradicts itself",
        "mend the recorder: one line a step, each under a key of its own, whatever was decided in it",
    ),
    "record-imprecise": (
        "metric",
        "metric",
        "the recorded p is not quite the compared p",
        "record p and q after the last cast, as the sampler compares them; the engine is not to blame for it",
    ),
    "metric-definition": (
        "metric",
        "metric",
        "two sources count the same and name it differently",
        "convert before comparing: the table of definitions has every engine's figure for the same counts",
    ),
    "counters-missing": (
        "metric",
        "config",
        "the engine says that it logs no statistics",
        "scrape /metrics of every server, run one API server (--api-server-count 1), or use per-request metrics",
    ),
}

_HEADS = {
    "inverted-ratio": "the ratio is upside down",
    "lenient-acceptance": "the sampler accepts too much",
    "synthetic-acceptance": "acceptance does not look at the models",
    "decision-mismatch": "accept/reject decisions are wrong",
}

WORDS: dict[str, CauseWords] = {
    cause: CauseWords(*row)._replace(head=_HEADS.get(cause, row[2])) for cause, row in (_ROWS | SLOW).items()
}

"""What the recorder makes of a verification of SGLang from numbers that have arrived (tests/sglang drives the engine's own)."""

import logging
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sdtrace.record import sglang, sglang_dflash
from sdtrace.record.copies import Flat
from sdtrace.record.known import Known
from sdtrace.record.sglang_steps import Batch, asked, lines, path

#: A tree: 0 has the children 1 and 2, 1 has 3 and 4, 2 has 5.
FOLLOWS = [1, 3, 5, -1, -1, -1]
NODES = len(FOLLOWS)


class Host:
    """A tensor that is on the host already."""

    def __init__(self, values: list[float]) -> None:
        self.values = np.array(values)

    def numpy(self) -> Any:
        return self.values


def step(
    accepted: list[list[int]], *, drawn: bool = True, temperature: float = 1.0, stops: tuple[int, ...] = ()
) -> list[Any]:
    """Requests "a" and "b" in one batch, of which these nodes are accepted; token of node n is 10 + n, the last token is 99.

    p of node j at row i is (10 i + j) / 1000, the coin of a node its number / 10, argmax of a row 20 + its number.
    """
    n = len(accepted)
    index, predict = np.full((n, 4), -1), np.zeros(n * NODES)
    for i, chain in enumerate(accepted):
        index[i, : len(chain) + 1] = [i * NODES, *(i * NODES + node for node in chain)]
        told = [*(10 + node for node in chain), 99]
        predict[index[i, : len(chain) + 1]] = told
    pairs = (10.0 * np.arange(NODES)[:, None] + np.arange(NODES)) / 1000
    arrays = {
        "pairs": np.tile(pairs, (n, 1, 1)), "node.target_argmax_ids": np.tile(20.0 + np.arange(NODES), n),
        "node.target_sq": np.tile(np.arange(NODES) / 8, n), "last_p": np.full(n, 0.25), "predict": predict,
        "accept_lens": np.array([len(chain) + 1 for chain in accepted]), "accept_index": index, "next": np.tile(FOLLOWS, (n, 1)),
        "candidates": np.tile(10 + np.arange(NODES), (n, 1)), "before": np.full(n, 30), "coins": np.tile(np.arange(NODES) / 10, (n, 1)),
    }  # fmt: skip
    copy = Flat(
        Host([float(x) for value in arrays.values() for x in value.ravel()]),
        tuple((name, value.shape) for name, value in arrays.items()),
    )
    ids = ["a", "b"][:n]
    known = {name: Known({"temperature": temperature}, 20, 1000, frozenset(stops)) for name in ids}
    return [row for _, row in lines(Batch(1.0, 3, ids, copy, None, drawn, drawn), known)]


@pytest.mark.parametrize(
    ("accepted", "chain"), [([], [1, 3]), ([2], [2, 5]), ([1, 4], [1, 4]), ([1], [1, 3]), ([2, 5], [2, 5])], ids=str
)
def test_the_recorded_chain(accepted: list[int], chain: list[int]) -> None:
    assert path(np.array(FOLLOWS), np.array(accepted, dtype=np.int64)).tolist() == chain


def test_a_batch_of_a_tree() -> None:
    """ "a" keeps node 2, the second child, and rejects what follows; "b" keeps a whole branch and gets a bonus."""
    a, b = step([[2], [1, 4]])
    assert (a["draft_token_ids"], a["num_accepted"], a["output_token_ids"], a["last_kind"]) == (
        [12, 15],
        1,
        [12, 99],
        "recovered",
    )
    assert (b["draft_token_ids"], b["num_accepted"], b["output_token_ids"], b["last_kind"]) == (
        [11, 14],
        2,
        [11, 14, 99],
        "bonus",
    )
    assert a["target_probs"].tolist() == [0.002, 0.025]  # node 2 at the row of node 0, node 5 at the row of node 2
    assert b["target_probs"].tolist() == [0.001, 0.014]
    assert a["uniforms"].tolist() == [0.0, 0.2]  # a node's children are tested with the node's coin
    assert b["target_argmax_ids"].tolist() == [20, 21, 24]
    assert (a["context_len"], a["batch_size"], a["batch_tokens"], a["slot"], b["slot"]) == (31, 2, 12, 0, 1)
    assert a["last_target_prob"] == 0.25


@pytest.mark.parametrize(
    ("drawn", "temperature", "probabilities"),
    [(True, 1.0, True), (True, 0.0, False), (False, 0.0, True), (False, 1.0, False)],
    ids=["sampled", "greedy in a sampled batch", "greedy tree", "sampled request in a greedy tree"],
)
def test_probabilities_that_nobody_compared_are_not_told(drawn: bool, temperature: float, probabilities: bool) -> None:
    (row,) = step([[1]], drawn=drawn, temperature=temperature)
    assert ("target_probs" in row) == ("target_sq" in row) == ("last_target_prob" in row) == probabilities
    assert ("uniforms" in row) == (drawn and temperature > 0)
    assert row["target_argmax_ids"].tolist() == [20, 21, 23]


def test_output_is_cut_at_a_stop_id() -> None:
    (row,) = step([[1, 4]], stops=(14,))
    assert row["output_token_ids"] == [11, 14]
    assert row["num_accepted"] == 2
    assert "last_kind" not in row


def test_what_a_request_asked_for() -> None:
    params = SimpleNamespace(
        temperature=1.0, top_k=1, top_p=0.9, min_p=0.0, repetition_penalty=1.0, presence_penalty=0.0, frequency_penalty=0.0,
        sampling_seed=7, max_new_tokens=16, stop_token_ids={5}, ignore_eos=False, logit_bias=None,
    )  # fmt: skip
    known = asked(SimpleNamespace(sampling_params=params, origin_input_ids=[1, 2, 3], eos_token_ids={2}))
    assert (known.columns["temperature"], known.columns["top_k"], known.columns["seed"]) == (0.0, None, 7)
    assert (known.prompt_len, known.max_len, known.columns["stop_token_ids"]) == (3, 16, [2, 5])


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    ("algorithm", "rejection", "block", "topk", "simulated", "expected"),
    [
        ("EAGLE", True, False, 1, False, ("ratio", {})),
        ("EAGLE", True, True, 1, False, ("block", {})),
        ("EAGLE", False, False, 1, False, ("tree-coin", {"threshold_single": 1.0, "threshold_acc": 0.9, "topk": 1})),
        ("NGRAM", False, False, -1, False, ("tree-coin", {"threshold_single": 1.0, "threshold_acc": 0.9})),
        ("EAGLE", True, False, 1, True, ("synthetic", {})),
        ("DFLASH", True, True, 1, False, ("tree-coin", {"threshold_single": 1.0, "threshold_acc": 0.9, "topk": 1})),
    ],
)
def test_the_law_of_a_server(
    algorithm: str, rejection: bool, block: bool, topk: int, simulated: bool, expected: Any
) -> None:
    spec = SimpleNamespace(
        speculative_algorithm=algorithm,
        speculative_use_rejection_sampling=rejection, speculative_use_block_verification=block,
        speculative_accept_threshold_single=1.0, speculative_accept_threshold_acc=0.9,
    )  # fmt: skip
    assert sglang.rule_of(spec, topk, simulated=simulated) == expected


def installed(monkeypatch: pytest.MonkeyPatch, version: str, sample: Any) -> list[str]:
    """Targets that are hooked in an SGLang of this version whose `eagle_sample` is `sample`."""
    hooked: list[str] = []

    def chain(candidates: Any, uniform_samples: Any, target_probs: Any, draft_probs: Any) -> None: ...

    utils = {
        "eagle_sample": sample,
        "chain_speculative_sampling_triton": chain,
        "tree_speculative_sampling_target_only": None,
    }
    registry = SimpleNamespace(register=lambda target, hook, kind: hooked.append(target.rpartition(".")[2]))
    parts: dict[str, dict[str, Any]] = {
        "sglang": {"__version__": version},
        "sglang.srt": {},
        "sglang.srt.managers": {},
        "sglang.srt.managers.scheduler": {},
        "sglang.srt.plugins": {},
        "sglang.srt.plugins.hook_registry": {
            "HookRegistry": registry,
            "HookType": SimpleNamespace(AROUND="", AFTER=""),
        },
        "sglang.srt.speculative": {"eagle_utils": SimpleNamespace(**utils)},
    }
    for name, values in parts.items():
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("SDTRACE_RECORD", "somewhere")
    sglang.register()
    return hooked


def known_sample(verify_input: Any, batch: Any, logits_output: Any) -> None: ...


def other_sample(tree: Any, batch: Any) -> None: ...


def test_the_known_release_is_hooked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed(monkeypatch, "0.5.23", known_sample) == [
        "eagle_sample",
        "chain_speculative_sampling_triton",
        "__init__",
    ]


@pytest.mark.parametrize(
    ("version", "sample", "words"),
    [
        ("0.5.24", known_sample, "does not record SGLang 0.5.24"),
        ("0.5.23", other_sample, "eagle_sample(logits_output, verify_input)"),
    ],
    ids=["another release", "other arguments"],
)
def test_others_are_refused_by_name(
    version: str, sample: Any, words: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "sdtrace.record"):
        assert installed(monkeypatch, version, sample) == []
    assert words in caplog.text


def test_a_drafter_that_verifies_elsewhere_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "sdtrace.record"):
        sglang.Hooks().served(None, SimpleNamespace(spec_algorithm=SimpleNamespace(name="EAGLE3")))
        assert not caplog.text
        sglang.Hooks().served(None, SimpleNamespace(spec_algorithm=SimpleNamespace(name="DSPARK")))
    assert "DSPARK verifies where no hook is" in caplog.text


def served(monkeypatch: pytest.MonkeyPatch, accept: Any) -> list[str]:
    """What is hooked once a scheduler serves DFlash whose worker has this `_accept_block`."""
    hooked: list[str] = []
    registry = SimpleNamespace(
        register=lambda target, hook, kind: hooked.append(target.rpartition(".")[2]),
        apply_hooks=lambda: hooked.append("applied"),
    )
    parts: dict[str, dict[str, Any]] = {
        "hook_registry": {"HookRegistry": registry, "HookType": SimpleNamespace(AROUND="", BEFORE="")},
        "dflash_worker_v2": {"DFlashWorkerV2": type("DFlashWorkerV2", (), {"_accept_block": accept})},
    }
    for name, room in (("hook_registry", "plugins"), ("dflash_worker_v2", "speculative")):
        for whole in ("sglang", "sglang.srt", f"sglang.srt.{room}", f"sglang.srt.{room}.{name}"):
            module = ModuleType(whole)
            if whole.endswith(name):
                vars(module).update(parts[name])
            monkeypatch.setitem(sys.modules, whole, module)
    sglang.Hooks().served(None, SimpleNamespace(spec_algorithm=SimpleNamespace(name="DFLASH")))
    return hooked


def known_block(self: Any, *, candidates: Any, next_token_logits: Any, prefix_lens: Any, bs: int) -> None: ...


def other_block(self: Any, *, candidates: Any, next_token_logits: Any) -> None: ...


def test_dflash_is_hooked_where_it_serves(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "sdtrace.record"):
        assert served(monkeypatch, known_block) == ["forward_batch_generation", "_accept_block", "applied"]
        assert not caplog.text
        assert served(monkeypatch, other_block) == []
    assert "prefix_lens are no arguments of DFlashWorkerV2._accept_block" in caplog.text


@pytest.mark.parametrize(
    ("selector", "logits", "words"),
    [([1], "rows", "DSpark's kernel"), (None, None, "has them gathered"), (None, "rows", "")],
    ids=["a drafter with its own q", "logits that were not gathered", "a chain"],
)
def test_blocks_that_are_not_recorded_are_named(
    selector: Any, logits: Any, words: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Any] = []
    steps: Any = SimpleNamespace(
        begin=lambda: told.append("begin"), verified=lambda result, tree, batch, rows: told.append((batch.reqs, rows))
    )
    monkeypatch.setattr(sglang_dflash, "chain", lambda candidates: SimpleNamespace(draft_token_num=4))
    monkeypatch.setattr(sglang_dflash, "kept", lambda lens, nodes: None)
    hooks = sglang.Hooks()
    blocks = sglang_dflash.Blocks(lambda tree: steps, hooks._safely, hooks._say)
    blocks.serving(None, SimpleNamespace(reqs=["a"]))
    tokens = SimpleNamespace(reshape=lambda size: [1])
    given = {"candidates": [[1]], "next_token_logits": logits, "prefix_lens": [9]}
    with caplog.at_level(logging.WARNING, "sdtrace.record"):
        for _ in range(2):
            worker = SimpleNamespace(_selector_sample=selector)
            assert blocks.around(lambda _, **given: (0, [2], 5, tokens, None), worker, **given)[1] == [2]
    assert words in caplog.text
    assert caplog.text.count("sdtrace records nothing here") == bool(words)
    assert "misses" not in caplog.text
    assert told == ([] if words else ["begin", (["a"], "rows")] * 2)

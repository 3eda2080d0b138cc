"""Which releases of vLLM are recorded: both model runners of the known ones; others are refused by name, with what they would take."""

import logging
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from sdtrace.record import vllm

Function = Callable[..., Any]


def first(
    draft_token_ids: Any, num_draft_tokens: Any, max_spec_len: Any, cu_num_draft_tokens: Any, draft_probs: Any, target_logits: Any
) -> None: ...  # fmt: skip


def first_of_another(draft_token_ids: Any, num_draft_tokens: Any, draft_probs: Any, target_logits: Any) -> None: ...


def second(
    target_logits: Any, draft_logits: Any, draft_sampled: Any, cu_num_logits: Any, pos: Any, idx_mapping: Any,
    expanded_idx_mapping: Any, expanded_local_pos: Any, temperature: Any,
) -> None: ...  # fmt: skip


def second_of_another(logits: Any, draft_sampled: Any, cu_num_logits: Any, temperature: Any) -> None: ...


def runner(*names: str) -> type:
    """A model runner of these functions that does nothing."""
    return type("GPUModelRunner", (), {name: lambda self, *_, **__: None for name in ("__init__", *names)})


V1 = ("execute_model", "_sample", "propose_draft_token_ids", "sample_tokens")


def served(
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    *,
    one: Function = first,
    two: Function | None = second,
    names: tuple[str, ...] = V1,
) -> tuple[bool, bool]:
    """Whether V1 and V2 of such a vLLM are watched once both were started; without `two` it has no V2."""
    classes = runner(*names), runner("execute_model", "add_requests", "sample", "sample_tokens")
    before = [dict(vars(kind)) for kind in classes]
    parts: dict[str, dict[str, Any]] = {
        "vllm": {"__version__": version},
        "vllm.v1": {},
        "vllm.v1.sample": {},
        "vllm.v1.sample.rejection_sampler": {"rejection_sample": one, "generate_uniform_probs": lambda: None},
        "vllm.v1.worker": {},
        "vllm.v1.worker.gpu_model_runner": {"GPUModelRunner": classes[0]},
    }
    if two is not None:
        parts |= {
            "vllm.v1.worker.gpu": {},
            "vllm.v1.worker.gpu.model_runner": {"GPUModelRunner": classes[1]},
            "vllm.v1.worker.gpu.spec_decode": {},
            "vllm.v1.worker.gpu.spec_decode.rejection_sampler": {"rejection_sample": two},
            "vllm.v1.worker.gpu.spec_decode.rejection_sampler_utils": {"spec_step_seed": None},
        }
    for name, values in parts.items():
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
        if "." in name:
            room, _, last = name.rpartition(".")
            setattr(sys.modules[room], last, module)
    monkeypatch.setenv("SDTRACE_RECORD", "somewhere")
    for _ in range(2):  # vLLM asks more than once
        vllm.register()
    kinds = [kind for kind, there in zip(classes, (True, two is not None), strict=True) if there]
    for kind in kinds:
        kind()
    hooked = [
        vars(kind).get("execute_model") is not old.get("execute_model")
        for kind, old in zip(classes, before, strict=True)
    ]
    for kind in kinds:
        function = vars(kind).get("execute_model")
        assert not hasattr(getattr(function, "__wrapped__", None), "__wrapped__"), "hooked twice"
    return hooked[0], hooked[1]


@pytest.mark.parametrize("version", ["0.32.0", "0.32.1+cpu", "0.33.0", "0.33.1.dev7+g12ab"])
def test_known_releases_are_watched(
    version: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "sdtrace.record"):
        assert served(monkeypatch, version) == (True, True)
    assert "does not record" not in caplog.text


def test_a_release_without_the_second_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    assert served(monkeypatch, "0.32.0", two=None) == (True, False)


@pytest.mark.parametrize("version", ["0.31.2", "0.34.0", "0.3.3", "0.1.dev1+g12ab", "dev", "1.0.0"])
def test_other_releases_are_refused_by_name(
    version: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "sdtrace.record"):
        assert served(monkeypatch, version) == (False, False)
    for one, where in (("V1", "vllm/v1/sample/rejection_sampler.py"), ("V2", "vllm/v1/worker/gpu/spec_decode")):
        known = "known are 0.32.x and 0.33.x; it would take a look at rejection_sample in"
        says = f"does not record model runner {one} of vLLM {version}: {known} {where}"
        assert caplog.text.count(says) == 1


@pytest.mark.parametrize(
    ("more", "watched", "words"),
    [
        ({"one": first_of_another}, (False, True), "V1 of vLLM 0.33.0 (gone or in another place: max_spec_len,"),
        ({"names": V1[1:]}, (False, True), "V1 of vLLM 0.33.0 (gone or in another place: execute_model)"),
        ({"two": second_of_another}, (True, False), "V2 of vLLM 0.33.0 (gone or in another place: draft_logits,"),
    ],
    ids=["other arguments of V1", "a function of V1 that is gone", "other arguments of V2"],
)  # fmt: skip
def test_a_known_release_that_was_changed(
    more: dict[str, Any],
    watched: tuple[bool, bool],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "sdtrace.record"):
        assert served(monkeypatch, "0.33.0", **more) == watched
    assert words in caplog.text
    assert caplog.text.count("does not record") == 1


def test_files_that_do_not_import_are_told_with_the_version(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module = ModuleType("vllm")
    vars(module)["__version__"] = "0.40.0"
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setenv("SDTRACE_RECORD", "somewhere")
    with caplog.at_level(logging.WARNING, "sdtrace.record"):
        vllm.register()
    assert "sdtrace does not record vLLM 0.40.0: " in caplog.text

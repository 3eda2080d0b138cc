"""The Transformers recorder around a real `generate`, and the replay of what it wrote."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.generation import candidate_generator, utils

from sdtrace.api import replay, report
from sdtrace.pipeline import read
from sdtrace.record.transformers import recording
from tests.model.conftest import World


def generate(world: World, folder: Path, **how: Any) -> dict[str, list[int]]:
    """Three requests of assisted generation; what `generate` returned, by request."""
    world.draft.generation_config.num_assistant_tokens = 4
    world.draft.generation_config.num_assistant_tokens_schedule = "constant"
    world.draft.generation_config.assistant_confidence_threshold = 0.0
    given: dict[str, list[int]] = {}
    with recording(folder, target=world.target, assistant=world.draft, prompts=True) as recorder:
        for i in range(3):
            torch.manual_seed(i)
            ids = torch.randint(3, 500, (1, 6 + i))
            known = {"temperature": how.get("temperature", 0.0), "max_tokens": 40}
            with recorder.request(f"r{i}", ids, **known), torch.no_grad():
                done = world.target.generate(
                    ids, attention_mask=torch.ones_like(ids), assistant_model=world.draft, max_new_tokens=40, **how
                )
            given[f"r{i}"] = done[0, ids.shape[1] :].tolist()
    return given


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", [{"do_sample": True, "temperature": 0.8, "top_k": 0}, {"do_sample": False}])
def test_what_is_recorded_is_what_was_generated(world: World, tmp_path: Path, how: dict[str, Any]) -> None:
    hooks = [candidate_generator.AssistedCandidateGenerator.get_candidates, utils._speculative_sampling]
    given = generate(world, tmp_path / "t", **how)
    assert hooks == [candidate_generator.AssistedCandidateGenerator.get_candidates, utils._speculative_sampling]
    written: dict[str, list[int]] = {}
    for source in read(tmp_path / "t"):
        for batch in source.batches():
            for row in batch.steps.sort("request_id", "step").iter_rows(named=True):
                written[row["request_id"]] = written.get(row["request_id"], []) + row["output_token_ids"]
    assert written == given
    audit = report(tmp_path / "t").document["audit"]
    assert audit["agree"] == audit["tested"] > 20
    document = replay(tmp_path / "t", verifier=world.verifier, drafter=world.drafter).document
    found = document["replay"]
    assert [cause for cause in document["causes"] if cause["side"] == "wrong"] == []
    assert found["log_p"]["outside_band"] == 0
    assert found["log_p"]["compared"] > 60
    if how["do_sample"]:
        assert found["draft"]["parameters"] == "the request's, temperature twice", "its assistant draws at T squared"
        assert found["draft"]["median"] < 1e-4
        assert found["draft"]["impossible"] == 0
    else:
        assert found["greedy"]["wrong"] == 0


def test_prompts_are_written_only_when_asked(world: World, tmp_path: Path) -> None:
    ids = torch.tensor([[5, 6, 7]])
    with recording(tmp_path / "t", target=world.target) as recorder, recorder.request("r", ids):
        pass
    assert b"prompt_token_ids" not in b"".join(file.read_bytes() for file in (tmp_path / "t").iterdir())

"""One world for the suite: a tiny target and its drafter, on disk as any model would be."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.model.engine import drafter_of, tiny

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()


@dataclass(frozen=True)
class World:
    """The models, and where they are saved."""

    target: Any
    draft: Any
    folder: Path

    @property
    def verifier(self) -> str:
        return str(self.folder / "target")

    @property
    def drafter(self) -> str:
        return str(self.folder / "draft")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("models")
    target = tiny()
    draft = drafter_of(target)
    target.save_pretrained(folder / "target")
    draft.save_pretrained(folder / "draft")
    return World(target, draft, folder)

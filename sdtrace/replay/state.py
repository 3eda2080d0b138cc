"""Results that are kept while a replay runs: one part a batch, so that an interrupted replay goes on where it stopped."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from sdtrace import atomic
from sdtrace.errors import OutputError, UsageError
from sdtrace.replay.facts import SCHEMA


class State:
    """A folder of parts for one replay: same trace, same model, same options. `folder` None keeps nothing."""

    def __init__(self, folder: str | None, options: Mapping[str, Any]) -> None:
        self.folder = None if folder is None else Path(folder)
        if self.folder is None:
            return
        told = json.dumps(options, sort_keys=True)
        note = self.folder / "replay.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if note.exists() and note.read_text() != told:
                raise UsageError(
                    f"--state {folder}: holds another replay (another trace, model or option)", "name another folder"
                )
            atomic.write(note, told.encode())
        except OSError as error:
            raise OutputError(f"{folder}: {error.strerror or error}", "name a folder that may be written to") from error

    def done(self) -> pl.DataFrame:
        """Facts of everything that was finished before."""
        parts = [] if self.folder is None else sorted(self.folder.glob("facts-*.parquet"))
        return pl.concat([pl.read_parquet(part) for part in parts]) if parts else pl.DataFrame(schema=SCHEMA)

    def keep(self, facts: pl.DataFrame) -> None:
        """Write a finished batch whole or not at all."""
        if self.folder is None or facts.is_empty():
            return
        ids = repr(sorted(facts.select("run_id", "request_id").unique().rows()))
        file = self.folder / f"facts-{hashlib.blake2b(ids.encode(), digest_size=8).hexdigest()}.parquet"
        with atomic.writing(file) as stream:
            facts.write_parquet(stream)

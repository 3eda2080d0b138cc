"""From the arguments of `sdtrace replay` to a finished replay: open, load, run. The only place that loads models."""

import os
from collections.abc import Sequence
from typing import Any

from sdtrace.errors import UsageError
from sdtrace.readers import Opened
from sdtrace.replay.requests import dtype as engine_dtype
from sdtrace.replay.requests import gather


def conduct(
    sources: Sequence[Opened],
    *,
    verifier: str,
    drafter: str | None = None,
    suspects: Sequence[str] = (),
    requests: int | None = None,
    dtype: str | None = None,
    device: str | None = None,
    state: str | None = None,
    progress: Any = None,
) -> Any:
    """A `Replayed`. The model computes in the engine's own precision where the trace tells it, else in float32.

    Raises MissingExtraError, UsageError (no such model, no cuda, a state folder of another replay), OutputError.
    """
    from sdtrace.replay.model import load, ready

    ready(device)
    gathered = gather(sources, requests)
    engine = engine_dtype(gathered.conversations)
    model = load(verifier, dtype=dtype or engine, device=device)
    draft = load(drafter, dtype=dtype or engine, device=device) if drafter is not None else None
    from sdtrace.replay.run import replayed
    from sdtrace.replay.state import State

    if draft is not None and draft.vocab_size < model.vocab_size:
        raise UsageError(
            f"--drafter {drafter}: its vocabulary is smaller",
            "a drafter with a vocabulary of its own cannot be replayed",
        )
    asked = {
        "inputs": [[source.path, *_stamp(source.path)] for source in sources],
        "verifier": [verifier, *_stamp(verifier)],
        "dtype": model.dtype,
        "requests": requests,
    }
    kept = State(state, asked)
    more = {} if progress is None else {"progress": progress}
    return replayed(gathered, model, state=kept, drafter=draft, suspects=suspects, engine_dtype=engine, **more)


def _stamp(path: str) -> list[int]:
    """Size and time of what is on disk: a trace that grew, or a model that was replaced, is another replay."""
    if not os.path.exists(path):
        return []
    files = [path] if os.path.isfile(path) else [os.path.join(d, f) for d, _, fs in os.walk(path) for f in fs]
    return [sum(os.path.getsize(f) for f in files), int(max((os.path.getmtime(f) for f in files), default=0))]

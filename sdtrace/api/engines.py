"""`replay` and `probe`: a target model or an engine is asked. They load apart from the other functions: a report needs nothing of
what they need."""

from collections.abc import Callable, Sequence

from sdtrace.api import read, report
from sdtrace.api.frames import Kept
from sdtrace.api.typed_report import Report, typed
from sdtrace.checks import CHECKS
from sdtrace.diagnosis.doubt import doubted, isolated
from sdtrace.document.document import compose
from sdtrace.errors import UsageError
from sdtrace.pipeline import OVERFLOW_ALLOWED, Inputs, audit_and_diagnose, paths_of
from sdtrace.probe.ask import TEMPERATURES, Plan
from sdtrace.probe.prompts import prompts as _prompts
from sdtrace.probe.run import probe as _probe
from sdtrace.probe.scored import with_engine
from sdtrace.replay.engine.client import KEY, Client
from sdtrace.replay.engine.offline import PREFIX, Offline
from sdtrace.replay.engine.run import conduct as scored
from sdtrace.results.cause import Cause
from sdtrace.tuning.attach import attach
from sdtrace.tuning.sample import of_tally

#: (what is being done, done, of how many)
Progress = Callable[[str, int, int], None]


@OVERFLOW_ALLOWED
def replay(
    inputs: Inputs,
    *,
    verifier: str,
    format: str | None = None,
    ids: bool = False,
    drafter: str | None = None,
    suspects: Sequence[str] = (),
    requests: int | None = None,
    dtype: str | None = None,
    device: str | None = None,
    state: str | None = None,
    progress: Progress | None = None,
    key_from: str = KEY,
    concurrency: int = 4,
    rate: float = 0.0,
) -> Report:
    """The report with `verifier` (a folder, a .gguf file, a hub name, a server's address, vllm:MODEL) run again over the trace.

    `requests`: how many, chosen by hash; `dtype`: float32, bfloat16 or float16; `device`: cpu or cuda; `state`: a folder that
    keeps finished requests. Of a server: `key_from`, the variable that holds its key, `concurrency` in requests, `rate` in
    requests a second (0 = no limit). Raises MissingExtraError without the extra `replay`, and what `report` raises.
    """
    if verifier.startswith(("http://", "https://", PREFIX)):
        offline = verifier.startswith(PREFIX)
        only = {"drafter": drafter, "dtype": None if offline else dtype, "device": device}
        for name in (name for name, value in only.items() if value):
            raise UsageError(f"--{name} does not go with an engine as verifier", "leave it out")
        for one in suspects:
            if not one.startswith(("http://", "https://")):
                raise UsageError(
                    f"--suspect {one}: is no address of a server",
                    "an engine as verifier takes engines as suspects: start one with that model, and give http://HOST:PORT",
                )
        others = [Client(one, key_from=key_from, concurrency=concurrency, rate=rate) for one in suspects]
        asked: Client = Offline(verifier, dtype=dtype)
        if not offline:
            asked = Client(verifier, key_from=key_from, concurrency=concurrency, rate=rate)
        return _scored(inputs, asked, others, format, requests, state, progress, ids=ids)
    from sdtrace.replay.setup import conduct

    found = conduct(
        read(inputs, format=format),
        verifier=verifier,
        drafter=drafter,
        suspects=suspects,
        requests=requests,
        dtype=dtype,
        device=device,
        state=state,
        progress=progress,
    )
    from sdtrace.replay.section import with_replay  # needs torch, which `conduct` has asked for

    audit, judged = audit_and_diagnose(inputs, format, (None, None), ())
    plain = attach(compose(audit, judged, CHECKS, ids=ids), judged, of_tally(audit, judged.choices), None)

    def weighed(causes: Sequence[Cause]) -> list[Cause]:
        return doubted(isolated(causes, audit.inputs, found.positions), audit.inputs)

    return typed(with_replay(plain, found, weighed), Kept(paths_of(inputs)[0], audit, judged))


def _scored(
    inputs: Inputs,
    client: Client,
    suspects: Sequence[Client],
    format: str | None,
    requests: int | None,
    state: str | None,
    progress: Progress | None,
    *,
    ids: bool,
) -> Report:
    """The report with the recorded ids scored by a running server."""
    found = scored(read(inputs, format=format), client, requests, state, progress, suspects)
    plain = report(inputs, format=format, ids=ids)
    return typed(with_engine(plain, found), plain.kept)


def probe(
    url: str,
    *,
    against: str | None = None,
    prompts: str | None = None,
    requests: int = 30,
    tokens: int = 64,
    temperatures: Sequence[float] = TEMPERATURES,
    budget_tokens: int | None = None,
    budget_s: float | None = None,
    one_hot: bool = False,
    key_from: str = KEY,
    concurrency: int = 4,
    rate: float = 0.0,
    progress: Progress | None = None,
) -> Report:
    """Ask a running vLLM, SGLang or llama.cpp server, and say whether it is right and how fast it is.

    `against`: the same model without speculation; `prompts`: a file, one a line; `requests` to each server, `tokens` an answer,
    at `temperatures` in turn; no more than `budget_tokens` of answers and `budget_s` seconds. `one_hot`: the server drafts its
    best token, so that single seeded tokens can prove a fault. Raises NoInputError where nothing that can be judged is
    answered, UsageError for figures out of range.
    """
    if requests < 1 or tokens < 4 or not temperatures:
        raise UsageError(
            "probe needs requests >= 1, tokens >= 4 and a temperature", "leave them out for 30, 64 and three"
        )

    def client(address: str) -> Client:
        return Client(address, key_from=key_from, concurrency=concurrency, rate=rate)

    plan = Plan(tuple(_prompts(prompts)), requests, tokens, budget_tokens, budget_s, tuple(dict.fromkeys(temperatures)))
    other = None if against is None else client(against)
    return typed(_probe(client(url), plan, other, one_hot=one_hot, progress=progress or _silent))


def _silent(what: str, done: int, total: int) -> None:
    pass

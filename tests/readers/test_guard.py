"""One bad input is one bad input: whatever a reader does, the others are read, and what failed is a loss with its place."""

import gzip
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sdtrace import readers
from sdtrace.api import explain, report
from sdtrace.cli import run
from sdtrace.errors import NoInputError
from sdtrace.history.nightly import Aside
from sdtrace.readers import guard
from sdtrace.readers.io.source import Source
from sdtrace.readers.registry import registered
from sdtrace.redaction import redacted
from sdtrace.results.check import Check
from sdtrace.schema.trace import Batch
from sdtrace.tally.measure import measure
from sdtrace.tally.tally import Tally
from sdtrace.verify.scope import Scope
from sdtrace.writers.convert import convert

SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"
GOOD = SAMPLES / "transformers-greedy.jsonl.gz"


class PanicException(BaseException):
    """As pyo3 raises it for a panic in Rust: no Exception."""


ERRORS: list[Callable[[], BaseException]] = [
    lambda: KeyError("x"),
    lambda: RecursionError("too deep"),
    lambda: MemoryError(),
    lambda: OverflowError("int too large to convert to float"),
    lambda: PanicException("index out of bounds"),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    lambda: NoInputError("the server did not answer", "check host and port"),
]


#: name of an input -> what its reader raises, after how many batches
BAD = {f"bad-{type(e()).__name__}-{after}.jsonl": (e, after) for e in ERRORS for after in (0, 1)}


def _failing(monkeypatch: pytest.MonkeyPatch, errors: Mapping[str, tuple[Callable[[], BaseException], int]]) -> None:
    """The reader of traces gives some batches and then fails, for inputs of these names."""
    reader = registered()["trace-jsonl"]

    def batches(src: Source) -> Iterator[Batch]:
        for number, batch in enumerate(reader.batches(src)):
            error, after = errors.get(Path(src.path).name, (None, 0))
            if error is not None and number == after:
                raise error()
            yield batch

    monkeypatch.setitem(registered(), "trace-jsonl", replace(reader, batches=batches))


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    lines = gzip.decompress(GOOD.read_bytes()).splitlines(keepends=True)
    for name in ("a.jsonl", "bad.jsonl", "c.jsonl"):
        renamed = b"".join(lines[:40]).replace(b'"run_id":"', b'"run_id":"%s-' % name.encode())
        (tmp_path / name).write_bytes(renamed)
    return [tmp_path / name for name in ("a.jsonl", "bad.jsonl", "c.jsonl")]


@pytest.mark.slow
def test_an_error_in_a_reader_ends_its_input_alone(inputs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fourteen inputs fail, each in its way, among two that do not."""
    lines = inputs[1].read_text().splitlines(keepends=True)
    paths = [inputs[1].with_name(name) for name in BAD]
    for path in paths:
        path.write_text("".join(lines).replace('"run_id":"bad.jsonl-', f'"run_id":"{path.name}-'))
    _failing(monkeypatch, BAD)
    found = report([str(path) for path in (inputs[0], *paths, inputs[2])]).document["inputs"]
    assert [i["steps"] for i in (found[0], found[-1])] == [38, 38]
    assert [i["losses"] for i in (found[0], found[-1])] == [[], []]
    for bad, (name, (error, after)) in zip(found[1:-1], BAD.items(), strict=True):
        assert bad["lines"] == bad["runs"] + bad["requests"] + bad["steps"] + sum(x["count"] for x in bad["losses"])
        loss = bad["losses"][-1]
        assert loss["advice"], name
        assert name in loss["where"]
        if isinstance(error(), KeyError | PanicException):
            assert loss["what"].startswith(f"reader error: {type(error()).__name__}")
        assert (bad["steps"] > 0) == (after > 0), name
        assert not after or f"{bad['lines'] - 1} lines before it were read" in loss["what"]


@pytest.mark.slow
def test_an_error_leaves_one_input_of_three(inputs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """With few inputs each has a reader of its own that runs ahead."""
    _failing(monkeypatch, {"bad.jsonl": (ERRORS[0], 1)})
    found = report([str(path) for path in inputs]).document["inputs"]
    assert [len(i["losses"]) for i in found] == [0, 1, 0]
    assert [i["steps"] > 0 for i in found] == [True, True, True]


def test_the_place_of_a_fault_of_ours_is_told(inputs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("sdtrace.readers.trace.jsonl._rows", broken)
    with pytest.raises(NoInputError, match=r"reader error: KeyError at readers/trace/jsonl\.py:\d+"):
        report(str(inputs[0]))
    monkeypatch.setenv("SDTRACE_TRACEBACK", "1")
    with pytest.raises(KeyError):
        report(str(inputs[0]))


@pytest.mark.slow
def test_nothing_but_a_failing_input_is_exit_3(inputs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(monkeypatch, {"bad.jsonl": (ERRORS[0], 0)})
    bad = str(inputs[1])
    assert [run([verb, bad]) for verb in ("report", "detect", "tune")] == [3, 3, 3]
    assert run(["report", bad, str(inputs[0])]) == 0
    with pytest.raises(NoInputError, match="reader error: KeyError"):
        explain(bad, request="any")
    with pytest.raises(NoInputError, match="reader error: KeyError"):
        convert([bad], inputs[0].with_name("out.jsonl"))
    assert not inputs[0].with_name("out.jsonl").exists()


def test_an_error_of_a_look_is_a_refusal(inputs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Source) -> str | None:
        raise PanicException

    monkeypatch.setitem(registered(), "specspecs", replace(registered()["specspecs"], refuse=refuse))
    opened = readers.open_one(str(inputs[0]), None)
    assert opened.format == "trace-jsonl"
    assert "PanicException" in str(readers.refused(opened)["specspecs"])


@pytest.mark.slow
def test_a_batch_that_cannot_be_judged_is_a_loss(inputs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(scope: Scope, checks: Sequence[Check]) -> Tally:
        if "bad" in scope.path:
            raise OverflowError
        return measure(scope, checks)

    monkeypatch.setattr("sdtrace.audit.audit.measure", broken)
    found = report([str(path) for path in inputs]).document
    bad = found["inputs"][1]
    assert bad["steps"] == 0
    assert [i["steps"] for i in found["inputs"]][::2] == [38, 38]
    assert bad["lines"] == bad["runs"] + bad["requests"] + sum(x["count"] for x in bad["losses"])
    assert "OverflowError" in bad["losses"][-1]["what"]
    assert not [c for c in found["checks"] if c["state"] == "crashed"]


def test_what_ends_the_process_is_no_loss(inputs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(monkeypatch, {"bad.jsonl": (KeyboardInterrupt, 0)})
    with pytest.raises(KeyboardInterrupt):
        report([str(path) for path in inputs])


@pytest.mark.parametrize("path", ["a.jsonl", "a: b.jsonl", "https://user:word@host/metrics?token=abc"])
def test_an_error_has_its_place_and_its_reason_apart(path: str) -> None:
    """What is told of an input leaves its own path out, whatever stands in that; a sentence about others stays whole."""
    found = NoInputError("cannot be read", "look at it", path)
    again = pickle.loads(pickle.dumps(found))
    for one in (found, again):
        assert (one.reason, one.hint, one.place) == ("cannot be read", "look at it", redacted(path))
        assert one.message == str(one) == f"{redacted(path)}: cannot be read"
        assert guard.reason(path, one) == ("cannot be read", "look at it")
        assert guard.reason("another", one) == (one.message, "look at it")
        assert Aside.of(path, one).why == "cannot be read"
    whole = NoInputError(f"{path}: cannot be read", "look at it")  # words that begin alike are no place
    assert guard.reason(path, whole)[0] == whole.message == whole.reason

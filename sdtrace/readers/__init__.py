"""One format, one file. Opening an input asks every reader; exactly one may say yes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sdtrace.errors import NoInputError, UsageError
from sdtrace.limits import Limits, allowing, current, size
from sdtrace.readers.envelopes import DEPTH, inside, loose
from sdtrace.readers.envelopes.origin import around, placed_back
from sdtrace.readers.guard import bears, guarded, reason
from sdtrace.readers.io import cloud
from sdtrace.readers.io.checksum import has_checksum
from sdtrace.readers.io.paths import expand
from sdtrace.readers.io.source import HEAD, Source, begun, source, start
from sdtrace.readers.listening import heard
from sdtrace.readers.metrics import prometheus_server
from sdtrace.readers.reader import Reader
from sdtrace.readers.refusal import NO_OBJECT, PARQUET, nobody, placed
from sdtrace.readers.registry import registered
from sdtrace.readers.repeated import Repeated
from sdtrace.readers.responses.request_log import RequestLog
from sdtrace.readers.times import dated
from sdtrace.redaction import redacted
from sdtrace.schema.texts import changed
from sdtrace.schema.trace import DAMAGED, Batch, Doubt, Loss, Notice, no_tables


@dataclass(frozen=True)
class Opened:
    """An input with the reader that claims it; `batches()` reads it from its beginning, as often as wanted."""

    path: str  #: as it is shown: without credentials
    format: str
    engine: str | None
    source: Source = field(repr=False)
    address: str = field(repr=False, default="")  #: as it was given
    trouble: tuple[str, str] | None = None  #: why it cannot be opened, and what to do
    since: float | None = None
    until: float | None = None
    disguise: Callable[[Batch], Batch] | None = field(repr=False, default=None)  #: what is done to every batch

    @property
    def reader(self) -> Reader | None:
        """The reader of a file or folder; None of a server's address and of what nobody recognises."""
        return registered().get(self.format)

    @property
    def verified(self) -> bool:
        """Whether a checksum stands over the content: where it fails, the input is in doubt as a whole."""
        return has_checksum(self.source)

    def batches(self) -> Iterator[Batch]:
        """Bounded batches, in the order of the input; one that cannot be read to its end ends in a loss that says why."""
        found = map(_discreet, map(dated, self.as_written()))
        return found if self.disguise is None else map(self.disguise, found)

    def _about(self) -> int | None:
        """About how many lines there are, by the length of the first ones; None of packed inputs, folders and servers."""
        src = self.source
        breaks = src.head.count(b"\n")
        if src.file is None or src.packing is not None or src.is_folder or not breaks:
            return None
        return int(src.file.stat().st_size / (src.head.rindex(b"\n") + 1) * breaks)

    def as_written(self) -> Iterator[Batch]:
        """The batches with times that are none."""
        src = begun(self.source)
        read = guarded(self.path, lambda: self._batches(src), lambda: src.reading.line)
        return heard(self.path, read, self._about())

    def _batches(self, src: Source) -> Iterator[Batch]:
        if self.format == "prometheus-server":
            return prometheus_server.batches(self.address, self.since, self.until)
        if self.format == "unrecognised":
            what, advice = self.trouble or ("unrecognised file format", _DETECT)
            tables = no_tables()
            loss = Loss(self.path, None, what, 1, advice)
            return iter([Batch(self.path, 1, *tables, [loss], failed=self.trouble is not None)])
        return self._fetched(src) if cloud.is_object(self.path) else self._read(src)

    @contextmanager
    def at_hand(self) -> Iterator[Source]:
        """The source with its bytes on this machine; those of an object are fetched, and removed behind it."""
        if not cloud.is_object(self.path):
            yield self.source
            return
        with cloud.copied(self.address) as file:
            yield replace(self.source, file=file)

    def _fetched(self, src: Source) -> Iterator[Batch]:
        with self.at_hand() as here:
            assert here.file is not None
            for batch in self._read(replace(src, file=here.file)):
                yield cloud.renamed(batch, here.file, self.path)

    def _read(self, src: Source) -> Iterator[Batch]:
        """What the reader makes of it, and at the end whether a packed file broke off: how much is missing cannot be known.
        Then limits that were met, each as one line that was lost."""
        repeated = Repeated()
        reader = self.reader
        assert reader is not None
        lost = broken = False
        for batch in reader.batches(src):
            lost = lost or any(loss.kind != "other" for loss in batch.losses)
            broken = broken or any(loss.kind == "unreadable" for loss in batch.losses)
            yield placed_back(repeated.once(batch), src.reading.unwrapped)
        if src.reading.unwrapped is not None:
            yield around(src.path, src.reading.unwrapped)
        if (broken or (lost and src.packing)) and not has_checksum(src) and not src.reading.damage:
            what = "pages of the table are damaged" if broken else "records of the compressed file are damaged"
            why = f"{what}, and it has no checksum that would tell which"
            yield Batch(src.path, 0, *no_tables(), [], doubt=Doubt(why, figures=True))
        if met := src.reading.met:
            losses = [Loss(src.path, line, error.what, 1, error.advice) for line, error in met]
            yield Batch(src.path, len(losses), *no_tables(), losses)
        if src.reading.damage:
            advice = "what came before was read; get the file again, the rest of it is missing"
            notice = Notice(src.path, None, f"{DAMAGED}: {src.reading.damage[0][:160]}", 1, advice, "damaged")
            doubt = Doubt(f"{DAMAGED}, and what it holds may be wrong", figures=True)
            yield Batch(src.path, 0, *no_tables(), [], [notice], doubt=doubt)


def _discreet(batch: Batch) -> Batch:
    """What a run says of itself without credentials: a model may be named by the address that it came from."""
    return batch if batch.runs.is_empty() else replace(batch, runs=changed(batch.runs, redacted))


_DETECT = "sdtrace detect --why tells what each reader looks for; --format NAME forces one"


def _strange(opened: Opened) -> tuple[str, str]:
    """Why nobody reads an input, and what to do about it."""
    if opened.trouble is not None:
        return opened.trouble
    whys = [why for why in dict.fromkeys(refused(opened).values()) if why]
    if len(whys) == 1:  # it is empty or damaged: what readers look for is not the point
        return whys[0][:200], "see that what writes it ran to its end, and get it again"
    if PARQUET in whys:  # what readers of text and JSON say of it tells nothing
        return next((why for why in whys if why not in (PARQUET, NO_OBJECT)), PARQUET)[:200], _DETECT
    src, most = opened.source, opened.source.limits.max_line
    if src.head[:1] in (b"{", b"[") and src.file is not None and src.file.stat().st_size > most:
        return f"JSON that is no JSON Lines, of more than {size(most)}", allowing("max_line", most)
    return (nobody(src, len(registered())) if src.head else whys[0][:200]), _DETECT


def open_inputs(paths: Sequence[str], format: str | None = None) -> list[Opened]:
    """Every input with its reader. Files that no reader claims stay, as inputs that hold one Loss each.

    Raises NoInputError where nothing is there or nothing is recognised, UsageError for an unknown `format`.
    """
    if format is not None and format not in registered():
        raise UsageError(f"--format {format}: no such reader", "known: " + ", ".join(registered()))
    opened = [open_one(path, format, named=path in paths) for path in expand(list(paths))]
    if not opened:
        raise NoInputError("no file in there", "name a trace file, a folder of them, or -", ", ".join(paths))
    if all(o.format == "unrecognised" for o in opened):
        why, advice = _strange(opened[0])
        more = f" (and {len(opened) - 1} more)" if len(opened) > 1 else ""
        told = why if opened[0].trouble else f"unrecognised file format: {why}"
        raise NoInputError(told, advice, f"{opened[0].path}{more}")
    return _beside_logs(opened)


def _beside_logs(opened: list[Opened]) -> list[Opened]:
    """Responses that lie beside logs of vLLM are read with what those say of their requests."""
    logs = [one.source for one in opened if one.format == "vllm-log" and one.source.file is not None]
    if not logs or len(logs) == len(opened):
        return opened
    log = RequestLog(logs)
    return [one if one.format == "vllm-log" else replace(one, disguise=log) for one in opened]


def refusals(src: Source) -> dict[str, str | None]:
    """For every reader why it refuses the input; None for the one that claims it."""
    if not src.is_folder and not src.head:
        damaged = f"the {src.packing} data is damaged before its first line ends"
        return dict.fromkeys(registered(), damaged if src.packing else "the file is empty")
    whys = [(reader, _refusal(reader, src)) for reader in registered().values()]
    return {reader.name: None if why is None else placed(reader.looks_for, why, src) for reader, why in whys}


def _refusal(reader: Reader, src: Source) -> str | None:
    """Why a reader refuses; what its look at the input fails on is a reason too."""
    try:
        return reader.refuse(src)
    except BaseException as error:
        if not bears(error):
            raise
        return reason(src.path, error)[0]


def refused(opened: Opened) -> dict[str, str | None]:
    """`refusals` of an opened input, wherever its bytes are."""
    if not cloud.is_object(opened.path):
        return refusals(opened.source)
    return _looked(opened.address, opened.source.limits, ask=True, named=True)[1]


def _looked(path: str, limits: Limits, *, ask: bool, named: bool) -> tuple[Source, dict[str, str | None]]:
    """The source and, if asked, its refusals. Of an object samples do, and where they tell nothing, all of it."""
    if not cloud.is_object(path):
        src = inside(source(path, None, limits, wait=named))
        if not ask:
            return src, {}
        whys = refusals(src)
        return (src, whys) if None in whys.values() else _anyhow(src, whys)
    for most in (cloud.SMALL, limits.max_line):
        with cloud.sample(path, most) as (file, whole):
            src = inside(source(path, file, limits))
            whys = refusals(src) if ask else {}
            if ask and whole and None not in whys.values():
                src, whys = _anyhow(src, whys)
        if whole or not ask or None in whys.values():
            break
    return replace(src, file=None), whys


def _anyhow(src: Source, whys: dict[str, str | None]) -> tuple[Source, dict[str, str | None]]:
    """An input that no reader knows, out of what may be an envelope: as far as it takes for a reader to know it."""
    if src.file is None or src.is_folder:
        return src, whys
    bare, before = replace(src, peel=None), b""
    bare = replace(bare, head=start(bare, HEAD)[:HEAD])
    for depth in range(1, DEPTH + 1):
        out = inside(bare, loose(depth))
        if out.peel is None or out.head == before:
            break
        again, before = refusals(out), out.head
        if None in again.values():
            return out, again
    return src, whys


def open_one(path: str, format: str | None, *, named: bool = True) -> Opened:
    """One input with its reader; raises UsageError where several claim it. `named`: a user named this very path."""
    shown, limits = redacted(path), current()
    nothing = Source(shown, None, None, b"", limits)
    if prometheus_server.is_server(path):
        return Opened(shown, "prometheus-server", None, nothing, path)
    try:
        src, whys = _looked(path, limits, ask=format is None, named=named)
    except BaseException as error:
        if not bears(error):
            raise
        return Opened(shown, "unrecognised", None, nothing, path, reason(shown, error))
    src = replace(src, path=shown)
    if format is not None:
        return Opened(shown, format, None, src, path)
    claims = [name for name, why in whys.items() if why is None]
    if len(claims) > 1:
        raise UsageError(f"{path}: claimed by {' and '.join(claims)}", "name the right one with --format")
    return Opened(shown, claims[0] if claims else "unrecognised", None, src, path)

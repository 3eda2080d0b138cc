"""Which lines of a log are an engine's own words: those in its envelope, where it writes one.

An engine stamps its lines (level, module and line, process, clock), and its message begins right behind the stamp. In a log
that holds such lines, only they count: a line without a stamp, or one whose figures stand further behind, is user text or a
copy. A log without stamps (a paste, an old build) is read as it is; then it could hold user text, and proves nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from sdtrace.readers.logs.dialect import Dialect, Envelope, Heard
from sdtrace.readers.logs.user_text import ECHOES, without
from sdtrace.schema.trace import Doubt

#: What docker, Kubernetes, journald, Ray, srun and whoever quotes a log put in front of a line.
SHIPPED = (
    r"^(?:[ \t]|[>*|-] ?|[A-Za-z0-9_./:@-]+ *\| ?|\[[A-Za-z0-9_][A-Za-z0-9_./:-]*\] |\([A-Za-z0-9_ ./:=,-]+\) |std(?:out|err) [FP] "
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]+ [A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+ "
    r"|[A-Za-z0-9_.-]+: |[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}[0-9.,:Z+-]* |[0-9]{2}:[0-9]{2}:[0-9]{2}[0-9.,]* "
    r"|[A-Za-z0-9_.-]+ [A-Za-z0-9_.@/-]+\[[0-9]+\]: "
    r"|[A-Z][a-z]{2} +[0-9]+ [0-9:]{8} [A-Za-z0-9_.:-]+ [A-Za-z0-9_.@/-]+(?:\[[0-9]+\])?: )*"
)
#: Lines behind a stamped one in which its record may go on.
_GOES_ON = 6
NOT_OWN = (
    "this log's engine stamps its lines (level, module, process or clock) and begins its message there, and this line does "
    "not: user text or a copy; its figures are not used"
)
#: Why nothing is proved by a log without stamps.
BARE = Doubt(
    "its lines carry no stamp of the engine (level, module, process or clock), so that the log could hold user text in their form"
)
IN_PROMPT = "it stands inside the prompt of a request: user text; its figures are not used"


@dataclass
class _Known:
    """Lines of a log by one dialect: stamped ones, and different ones with figures but without a stamp; the latest stamped
    one; whether one was met; and the lines of the last frame that are stamped."""

    before: str = SHIPPED
    stamped: int = 0
    unstamped: int = 0
    last: tuple[int, bool] = (-_GOES_ON, False)  #: its number, and whether its record goes on
    kept: int = -_GOES_ON
    begun: bool = False
    sure: set[int] = field(default_factory=set)


@dataclass
class Author:
    """What is known of a log's lines by now. `lost` says why lines of the last frame are not heard, by their number."""

    dialects: Sequence[Dialect]
    known: dict[str, _Known] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)

    def learn(self, lines: pl.DataFrame) -> None:
        """Count stamps in lines of the log; stamps behind a prefix that is not known here count where there are no others."""
        text = lines["text"]
        for dialect in self.dialects:
            if (envelope := dialect.envelope) is None:
                continue
            stamped, speaks = text.str.contains(envelope.stamp), text.str.contains(envelope.speaks)
            shipped = int(text.filter(stamped).str.contains(SHIPPED + envelope.stamp).sum())
            prefix, mine = (SHIPPED, shipped) if shipped else ("", int(stamped.sum()))
            unstamped = cleaned(lines.filter(speaks & ~stamped))["text"]
            known = _Known(prefix, mine, unstamped.filter(unstamped.str.contains(envelope.speaks)).n_unique())
            self.known[dialect.name] = known

    def stamps(self, dialect: Dialect) -> bool:
        """Whether the engine of a dialect stamps its lines in this log."""
        known = self.known.get(dialect.name)
        return known is not None and 0 < known.stamped >= 2 * known.unstamped

    def proves(self, dialect: Dialect, heard: Heard) -> bool:
        """Whether all that a dialect used of the last frame was surely written by the engine; a configuration may be the
        operator's."""
        if dialect.envelope is None or not self.stamps(dialect):
            return not heard.used
        known = self.known[dialect.name]
        told = {e.line for e in heard.events if e.kind in ("config", "version")}
        return heard.used - told - {None} <= known.sure

    def own(self, dialect: Dialect, rows: pl.DataFrame) -> pl.DataFrame:
        """The lines of a frame (line, text) that a dialect hears."""
        if (envelope := dialect.envelope) is None or not self.stamps(dialect):
            return rows
        known, text = self.known[dialect.name], pl.col("text")
        stamp = known.before + envelope.stamp
        speaks = text.str.contains(envelope.speaks)
        told = rows.with_columns(speaks=speaks, own=text.str.contains(stamp + envelope.begins))
        if not told["own"].all():  # what begins as a record is stamped, too
            told = told.with_columns(own=pl.when("speaks").then("own").otherwise(text.str.contains(stamp)))
        known.sure = set(told.filter("own")["line"].to_list())
        if told["own"].all():
            if rows.height:
                self._kept(known, envelope, *told.row(-1))
            return rows
        kept = [self._kept(known, envelope, *row) for row in told.iter_rows()]
        return rows.filter(pl.Series(kept, dtype=pl.Boolean))

    def _kept(self, known: _Known, envelope: Envelope, line: int, text: str, speaks: bool, own: bool) -> bool:
        if own:
            known.last = line, envelope.goes_on is not None and envelope.goes_on.search(text) is not None
            known.begun = True
        begun, goes_on = known.last
        head = not known.begun and not speaks  # a shell's command line, a banner
        keep = own or head or (goes_on and line - begun <= _GOES_ON) or (not speaks and line - known.kept == 1)
        if keep:
            known.kept = line
        elif speaks:
            self.lost[line] = NOT_OWN
        return keep


def cleaned(rows: pl.DataFrame) -> pl.DataFrame:
    """The lines without what users wrote in them."""
    text = pl.col("text")
    quoted = rows.select(
        text.str.contains("'", literal=True) | text.str.contains('"', literal=True) | text.str.contains(ECHOES)
    ).to_series()
    if not quoted.any():
        return rows
    lines = [without(t) if q else t for t, q in zip(rows["text"], quoted, strict=True)]
    return rows.with_columns(text=pl.Series(lines, dtype=pl.String))

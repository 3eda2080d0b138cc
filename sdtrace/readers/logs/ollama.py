"""Ollama's MLX runner: one line a request; iterations count rounds without a draft too."""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.clock import iso
from sdtrace.readers.logs.dialect import Dialect, Envelope, Heard, number
from sdtrace.schema.counters import Row

_KEY = re.compile(r"\b(\w+)=(\"[^\"]*\"|\S+)")


def listen(path: str) -> Any:
    """A listener without memory."""

    def hear(rows: pl.DataFrame) -> Heard:
        heard = Heard()
        for line, text in rows.iter_rows():
            if 'msg="speculative decode stats"' not in text:
                continue
            values = dict(_KEY.findall(text))
            steps, drafted, accepted = (number(values.get(n)) for n in ("iterations", "drafted", "accepted"))
            if steps is None or accepted is None:
                continue
            heard.used.add(line)
            mean = number(values.get("avg_accepted"))
            row: Row = {
                "line": line,
                "at": iso(text),
                "engine": "ollama",
                "surface": "speculative decode stats",
            }
            row |= {
                "basis": "request",
                "family": "Ollama MLX",
                "steps": steps,
                "drafted": drafted,
                "accepted": accepted,
            }
            row |= {"emitted": accepted + steps, "said_length": mean, "said_rate": number(values.get("acceptance"))}
            names = ("iterations", "drafted", "accepted", "acceptance", "avg_draft", "max_draft", "avg_accepted")
            heard.rows.append(row | {"said": {n: values[n] for n in names if n in values}})
        return heard

    return hear


DIALECT = Dialect(
    name="ollama-log",
    engine="ollama",
    says="Ollama server logs",
    looks_for="`time=... level=... msg=`",
    needles=(b"speculative decode stats",),
    envelope=Envelope(
        stamp=r"time=\S{19,40} level=[A-Z]+ source=[A-Za-z0-9_./]+:[0-9]+ ",
        begins='msg="speculative decode stats"',
        speaks="speculative decode stats",
        where=r"source=([A-Za-z0-9_./]+:[0-9]+)",
        clock=r"time=([0-9-]{10}T[0-9:]{8})",
        fixed=True,
    ),
    mark=re.compile(r"time=(?<!\wtime=)[^\s=]++ level=\w++ (?:source=|msg=)"),
    listen=listen,
)

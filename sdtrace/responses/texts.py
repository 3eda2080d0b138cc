"""Sums over responses: small frames that add up over batches, inputs and machines."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import polars as pl

from sdtrace.responses.basis import Basis
from sdtrace.responses.evidence import BETS, Sums
from sdtrace.responses.judge import Judged, judge
from sdtrace.responses.seeded import Seeded, seeded
from sdtrace.schema.responses import Response, responses

_MOST = max(BETS.values())
BET_COLUMNS = tuple(f"bet{i}" for i in range(_MOST))
_GROUP = ("engine", "model", "declared")
KEYS = (*_GROUP, "basis", "variant", "temperature", "code")
_SEEDS = (*_GROUP, "stream", "assumed", "untempered", "basis")
#: Responses that are named as evidence of one kind.
WITNESSES = 5
#: Answers that are remembered, so that none is weighed twice.
_REMEMBERED = 1 << 20
_AGAIN = "the same answer again"


@dataclass
class Texts:
    """`sums`: rows under KEYS; `greedy`, `identity`, `seeds`: rows under group and more; `why`: responses not looked at, by reason."""

    sums: pl.DataFrame | None = None
    greedy: pl.DataFrame | None = None
    identity: pl.DataFrame | None = None
    seeds: pl.DataFrame | None = None
    why: Counter[str] = field(default_factory=Counter)
    responses: int = 0
    tokens: int = 0
    witnesses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    basis: Basis = field(default_factory=Basis)
    seen: set[int] = field(default_factory=set, repr=False)
    one_hot: bool = False  #: drafts are known to be the drafter's best token

    def add(self, table: pl.DataFrame) -> None:
        """Responses of a batch: a frame of RESPONSE."""
        rows, greedy, identity, seeds = (list[dict[str, Any]]() for _ in range(4))
        for row in responses(table):
            self.responses += 1
            if self._again(row):
                self.why[_AGAIN] += 1
                continue
            found = judge(row)
            self.tokens += len(row["token_ids"] or ())
            self.basis.see(row)
            if found.why is not None:
                self.why[found.why] += 1
            group = {"engine": row["engine"], "model": row["model"] or "", "declared": row["basis"] or ""}
            rows += _rows(group, found)
            greedy += [
                group | {"variant": v, "responses": 1, "tokens": n, "near": near, "wrong": wrong, "most": gap}
                for v, (n, near, wrong, gap) in found.greedy.items()
            ]
            identity += [
                group | {"code": code, "responses": 1, "faulty": int(bad > 0), "tokens": n, "bad": bad}
                for code, (n, bad) in found.identity.items()
                if n
            ]
            drawn = seeded(row)
            seeds += [group | _seeds(one) for one in drawn]
            self._witness(row, found, drawn)
        self.sums = _added(self.sums, rows, KEYS)
        self.greedy = _added(self.greedy, greedy, (*_GROUP, "variant"))
        self.identity = _added(self.identity, identity, (*_GROUP, "code"))
        self.seeds = _added(self.seeds, seeds, _SEEDS)

    def _again(self, row: Response) -> bool:
        """Whether this very answer was weighed before: repeated by a shipper, or by a seed, it is no new evidence."""
        told = repr(
            (
                row["engine"],
                row["model"],
                row["prompt_token_ids"],
                row["token_ids"],
                row["logprobs"],
                row["temperature"],
            )
        )
        mark = int.from_bytes(blake2b(told.encode(), digest_size=8).digest())
        if mark in self.seen:
            return True
        if len(self.seen) < _REMEMBERED:
            self.seen.add(mark)
        return False

    def _witness(self, row: Response, judged: Judged, drawn: Sequence[Seeded]) -> None:
        place = {"path": row["path"], "line": row["line"], "request_id": row["request_id"]}
        for variant, (n, _, wrong, gap) in judged.greedy.items():
            if wrong:
                self._keep(f"greedy {variant}", place | {"tokens": n, "wrong": wrong, "gap": gap}, gap)
        fewest = min((one.contradicted for one in drawn if not one.untempered), default=0)
        if fewest:
            self._keep("seeds", place | {"tokens": judged.tokens, "contradicted": fewest}, fewest)
        for code, (n, bad) in judged.identity.items():
            if bad:
                self._keep(code, place | {"tokens": n, "bad": bad}, bad)
        by_code: dict[str, list[Sums]] = {}
        for (_, variant), sums in judged.sums.items():
            if variant == "strict":
                for code, one in sums.items():
                    by_code.setdefault(code, []).append(one)
        for code, several in by_code.items():
            least = min(several, key=lambda one: one.log_e)
            told = {"tokens": least.tokens, "observed": least.observed, "expected": least.high, "log_e": least.log_e}
            self._keep(code, place | told, least.log_e)

    def _keep(self, kind: str, witness: dict[str, Any], size: float) -> None:
        kept = self.witnesses.setdefault(kind, [])
        kept.append(witness | {"size": size})
        kept.sort(key=lambda one: -one["size"])
        del kept[WITNESSES:]


def merged(several: Sequence[Texts]) -> Texts:
    """Sums of parts of one whole."""
    total = Texts()
    for one in several:
        total.sums = _joined(total.sums, one.sums, KEYS)
        total.greedy = _joined(total.greedy, one.greedy, (*_GROUP, "variant"))
        total.seeds = _joined(total.seeds, one.seeds, _SEEDS)
        total.identity = _joined(total.identity, one.identity, (*_GROUP, "code"))
        total.why += one.why
        total.responses += one.responses
        total.tokens += one.tokens
        total.basis.join(one.basis)
        for kind, rows in one.witnesses.items():
            for row in rows:
                total._keep(kind, row, row["size"])
    return total


def _seeds(one: Seeded) -> dict[str, Any]:
    row: dict[str, Any] = {
        "stream": one.stream,
        "assumed": one.assumed and str(one.assumed),
        "untempered": one.untempered,
        "basis": one.basis,
        "responses": 1,
        "explained": one.explained,
        "contradicted": one.contradicted,
        "untold": one.untold,
        "plain": one.plain,
    }
    return row | {f"bet{i}": float(log) for i, log in enumerate(one.logs)}


def _rows(group: dict[str, Any], judged: Judged) -> list[dict[str, Any]]:
    rows = []
    for (basis, variant), sums in judged.sums.items():
        for code, one in sums.items():
            row = group | {"basis": basis, "variant": variant, "temperature": judged.temperature, "code": code}
            row |= {"responses": 1, "tokens": one.tokens, "observed": one.observed, "low": one.low, "high": one.high}
            bets = [*one.logs, *[0.0] * (_MOST - len(one.logs))]
            rows.append(row | {"variance": one.variance} | dict(zip(BET_COLUMNS, bets, strict=True)))
    return rows


def _added(before: pl.DataFrame | None, rows: list[dict[str, Any]], keys: Sequence[str]) -> pl.DataFrame | None:
    return _joined(before, pl.DataFrame(rows, infer_schema_length=None) if rows else None, keys)


def _joined(one: pl.DataFrame | None, other: pl.DataFrame | None, keys: Sequence[str]) -> pl.DataFrame | None:
    """Rows of both under their keys: sums added, `most` the greatest."""
    frames = [frame for frame in (one, other) if frame is not None]
    if not frames:
        return None
    table = pl.concat(frames, how="vertical_relaxed")
    rules = [pl.col(n).max() if n == "most" else pl.col(n).sum() for n in table.columns if n not in keys]
    return table.group_by(keys, maintain_order=True).agg(rules)

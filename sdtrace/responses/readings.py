"""What the sums over responses say of each server (engine and model): under which basis, how sure, how small a bias would show."""

import math
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from sdtrace.responses.evidence import BETS, CODES, mean
from sdtrace.responses.judge import BASES
from sdtrace.responses.texts import BET_COLUMNS, Texts

#: An accusation needs an e-value of a million: of a thousand sound servers one is accused with a chance of a thousandth.
LEVEL = math.log(1e6)
#: Another account of the same tokens is none where its e-value is beyond this.
_FITS = math.log(100.0)
#: Tokens from which a clear outcome is worth a word.
ENOUGH = 100
#: Confidence of a bound on the bias: 99%, both sides.
_BOUND = math.log(200.0)


@dataclass(frozen=True)
class Figure:
    """One statistic of one server, under its basis."""

    code: str
    tokens: int
    observed: float
    low: float
    high: float
    variance: float
    log_e: float
    logs: tuple[float, ...]

    @property
    def bias(self) -> float | None:
        """Bound of the bias per token at 99% (Freedman's inequality on the sum, whose expectation is known within bounds)."""
        if not self.tokens:
            return None
        far = max(abs(self.observed - self.low), abs(self.observed - self.high))
        return min((far + math.sqrt(2 * self.variance * _BOUND) + _BOUND / 3) / self.tokens, 1.0)


@dataclass(frozen=True)
class Reading:
    """A server. `basis` fits best of `candidates`; `how` it is known: declared, inferred or unknown. `log_e` is against every candidate;
    `usual` the same where what requests do not say is taken as switched off. `instead`: what explains the tokens where the server's own
    account does not."""

    engine: str
    model: str
    basis: str
    how: str
    candidates: tuple[str, ...]
    log_e: float
    usual: float
    figures: dict[str, Figure] = field(default_factory=dict)
    usual_figures: dict[str, Figure] = field(default_factory=dict)
    temperatures: tuple[float, ...] = ()
    instead: str | None = None

    @property
    def wrong(self) -> bool:
        """Refuted whatever was not said."""
        return self.log_e >= LEVEL

    @property
    def suspected(self) -> bool:
        """Refuted only if what was not said is switched off."""
        return self.usual >= LEVEL and not self.wrong


def readings(texts: Texts) -> list[Reading]:
    """One a server that has sampled tokens to judge."""
    if texts.sums is None:
        return []
    found = []
    for (engine, model), rows in texts.sums.group_by("engine", "model", maintain_order=True):
        found.append(_reading(texts, str(engine), str(model), rows))
    return found


def _reading(texts: Texts, engine: str, model: str, rows: pl.DataFrame) -> Reading:
    declared = sorted({b for b in rows["declared"].to_list() if b})
    known = texts.basis.known((engine, model))
    if declared:
        candidates, how = tuple(declared[:1]), "declared"
    elif known == "raw":
        candidates, how = ("raw",), "inferred"
    else:
        candidates = tuple(b for b in BASES[engine] if known is None or b != "raw")
        how = "inferred" if len(candidates) == 1 else "unknown"
    by = {
        (b, v): _figures(_of(rows, b, declared), v) for b in ("raw", "scaled", "processed") for v in ("strict", "usual")
    }
    strict = {b: total(by[b, "strict"]) for b in candidates}
    usual = {b: total(by[b, "usual"]) for b in candidates}
    # one that says nothing (0 tokens) does not speak for the engine
    basis = min(candidates, key=lambda b: (usual[b], strict[b]))
    if how == "unknown" and sum(v < LEVEL for v in usual.values()) == 1 and usual[basis] < _FITS:
        how = "inferred"
    if len({(round(strict[b], 6), round(usual[b], 6)) for b in candidates}) == 1 and how == "unknown":
        how = "any"  # at temperature 1 without cuts all are the same
    log_e, other = min(strict.values()), min(usual.values())
    instead = None
    if max(log_e, other) >= LEVEL and basis == "raw":
        plain = {b: total(by[b, "usual"]) for b in ("scaled", "processed")}
        instead = next((b for b in ("scaled", "processed") if by[b, "usual"] and plain[b] < _FITS), None)
    temperatures = tuple(sorted(set(rows["temperature"].to_list())))
    figures = by[basis, "strict"], by[basis, "usual"]
    return Reading(engine, model, basis, how, candidates, log_e, other, *figures, temperatures, instead)


def _of(rows: pl.DataFrame, basis: str, declared: list[str]) -> pl.DataFrame:
    """Rows under a basis; those that declare another one count under their own."""
    mine = pl.col("basis") == basis
    own = pl.col("declared").is_in(declared) & (pl.col("basis") == pl.col("declared"))
    return rows.filter(mine | own) if declared and basis == declared[0] else rows.filter(mine)


def _figures(rows: pl.DataFrame, variant: str) -> dict[str, Figure]:
    mine = rows.filter(pl.col("variant") == variant)
    if mine.is_empty():
        return {}
    found = {}
    for code in CODES:
        part = mine.filter(pl.col("code") == code)
        if part.is_empty():
            continue
        row = part.sum().to_dicts()[0]
        logs = tuple(row[name] for name in BET_COLUMNS[: BETS[code]])
        found[code] = Figure(
            code, int(row["tokens"]), row["observed"], row["low"], row["high"], row["variance"], mean(list(logs)), logs
        )
    return found


def total(figures: dict[str, Figure]) -> float:
    """Log of the mean e-value over the statistics."""
    return mean([one.log_e for one in figures.values()])


def bias_at_most(reading: Reading) -> float | None:
    """How far the share of best tokens can be from the model's, at 99%."""
    one = reading.figures.get("rank") or reading.usual_figures.get("rank")
    return None if one is None else one.bias


def words(reading: Reading, code: str) -> str:
    """One sentence about a statistic of a server."""
    figures = (reading.figures, reading.usual_figures) if reading.wrong else (reading.usual_figures, reading.figures)
    one = figures[0].get(code) or figures[1][code]
    expected = f"{one.low:,.0f} to {one.high:,.0f}" if one.high - one.low >= 1 else f"{one.high:,.0f}"
    what = {
        "rank": f"{one.observed:,.0f} of {one.tokens:,} tokens are the best one of their row, {expected} were to be expected",
        "rest": f"{one.observed:,.0f} of {one.tokens:,} tokens are none of the listed ones, at most {one.high:,.0f} were to be expected",
        "surprisal": f"{one.tokens:,} tokens have {one.observed / max(one.tokens, 1):.3f} nats each, "
        f"{one.high / max(one.tokens, 1):.3f} were to be expected",
        "cut": f"{one.observed:,.0f} of {one.tokens:,} tokens lie beyond what top-k, top-p or min-p leave",
    }[code]
    at = ", ".join(f"{t:g}" for t in reading.temperatures[:4])
    return f"{what} at temperature {at} ({basis_words(reading)}; e-value {power(one.log_e)})"


def basis_words(reading: Reading) -> str:
    """What the logprobs are of, and how that is known."""
    name = {
        "raw": "raw logprobs",
        "scaled": "logprobs after the temperature",
        "processed": "logprobs after all parameters",
    }
    if reading.how == "any":
        return "whatever the logprobs are of"
    return f"{name[reading.basis]}, {'the best of ' + str(len(reading.candidates)) if reading.how == 'unknown' else reading.how}"


def power(log_e: float) -> str:
    """An e-value as people read it."""
    return f"{math.exp(log_e):.1f}" if log_e < math.log(1e4) else f"10^{log_e / math.log(10):.0f}"


def greedy(texts: Texts, variant: str) -> dict[str, Any] | None:
    """Tokens at temperature 0 over all servers; None where there are none."""
    if texts.greedy is None:
        return None
    rows = texts.greedy.filter(pl.col("variant") == variant)
    return {name: rows[name].sum() for name in ("responses", "tokens", "near", "wrong")} | {"most": rows["most"].max()}

"""Steps that drafted: which records count them, what bounds them where none does, and whether the tokens were delivered."""

from dataclasses import dataclass

import polars as pl

#: Counted over delivered tokens beyond which accepted tokens are of another count than the delivered ones.
BEYOND = 1.1

#: Engines whose first token of a request comes from its prefill, not from a step.
PREFILL = frozenset({"vllm", "sglang", "llama.cpp", "tensorrt-llm", "lmdeploy"})


@dataclass(frozen=True)
class Delivered:
    """Of requests that tell all three: tokens they got, accepted tokens and steps; `first` tokens came from prefills."""

    emitted: float
    accepted: float
    drafts: float
    first: float

    @property
    def beyond(self) -> bool:
        """Whether clearly more is counted than was delivered; a stop inside the last draft cuts a few tokens a request."""
        return self.accepted + self.drafts > BEYOND * max(self.emitted - self.first, 1.0)

    @property
    def length(self) -> float:
        """Delivered tokens per step."""
        return max(self.emitted - self.first, 0.0) / self.drafts


def drafting() -> pl.Expr:
    """Windows but those in which the engine had set its draft length to none: their mean of 1.00 is of no drafting step."""
    return (pl.col("k") > 0) | pl.col("k").is_null()


def whole(added: pl.DataFrame, name: str) -> float | None:
    """The sum of a count; None where a record counts accepted tokens without it, so that sums are of the same records."""
    lacks = added.filter(pl.col(name).is_null() & pl.col("accepted").is_not_null()).height
    return None if lacks or added[name].null_count() == added.height else float(added[name].sum())


def delivered_of(drafted: pl.DataFrame, basis: str) -> Delivered | None:
    """What requests got beside what was counted for them."""
    known = drafted.filter(pl.col("emitted").is_not_null() & (pl.col("drafts") > 0))
    if basis != "request" or known.is_empty():
        return None
    first = float(known.height) if known["engine"][0] in PREFILL else 0.0
    emitted, accepted, steps = (float(known[n].sum()) for n in ("emitted", "accepted", "drafts"))
    return Delivered(emitted, accepted, steps, first)


def over_all(added: pl.DataFrame) -> float | None:
    """Tokens per step over every step, of records that tell accepted tokens and all of their steps."""
    told = added.filter(pl.col("accepted").is_not_null() & (pl.coalesce("drafts", "steps") > 0))
    steps = float(told.select(pl.coalesce("drafts", "steps").sum()).item())
    return float(told["accepted"].sum()) / steps + 1 if steps else None


def bounds(added: pl.DataFrame) -> tuple[float, float] | None:
    """Least and most steps that drafted, where a record tells all of its steps and not those; None where nothing bounds them.

    A step drafts k tokens at the most, so at least drafted / k did; at most every step did.
    """
    told = added.filter(pl.col("accepted").is_not_null())
    least = pl.coalesce("drafts", (pl.col("drafted") / pl.col("k")).ceil())
    ends = told.select(least=least, most=pl.coalesce("drafts", "steps"))
    if ends.is_empty() or told["drafts"].null_count() == 0 or ends["least"].null_count() or ends["most"].null_count():
        return None
    return float(ends["least"].sum()), float(ends["most"].sum())


def notes(added: pl.DataFrame, drafted: pl.DataFrame, delivered: Delivered | None) -> list[str]:
    """What was assumed, or left out, in the figures of these windows."""
    told = added.filter(pl.col("accepted").is_not_null()).height
    notes = []
    if 0 < drafted.height < told:
        notes.append(
            f"tokens per step from {drafted.height:,} of {told:,} records: the others do not count their steps"
        )
    elif told and not drafted.height and added["steps"].count():
        notes.append("tokens per step over every step, those without a draft too: steps that drafted are not printed")
    if delivered is not None and delivered.beyond:
        notes.append("tokens per step of delivered tokens: the engine counts tokens behind a stop as accepted")
    return notes

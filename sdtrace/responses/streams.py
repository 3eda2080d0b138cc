"""What seeded responses say: whether the stream is the engine's own, and which tokens it contradicts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from sdtrace.responses.evidence import mean
from sdtrace.responses.readings import LEVEL, power
from sdtrace.responses.seeded import ODDS, PLAIN, Drafting
from sdtrace.responses.texts import Texts
from sdtrace.results.check import Counts, Outcome
from sdtrace.verify.streams.coins import DRAFTED

#: Contradictions from which a recognised stream is a proof, and the share of tokens: an engine's own noise makes one now and then.
SURE, SHARE = 5, 1 / 400


@dataclass(frozen=True)
class Stream:
    """One server under the stream and basis that fit it best. `recognised`: its draws name the tokens far too often for another stream."""

    engine: str
    model: str
    stream: str
    assumed: Drafting | None
    basis: str
    explained: int
    contradicted: int
    untold: int
    log_e: float
    untempered: bool = False  #: its draws, taken from the logits as they are, give the tokens

    @property
    def name(self) -> str:
        """The stream, and what it takes for granted."""
        return self.stream if self.assumed is None else f"{self.stream}, {self.assumed}"

    @property
    def tokens(self) -> int:
        """All that could be told."""
        return self.explained + self.contradicted

    @property
    def recognised(self) -> bool:
        """An e-value of a million that no other stream wrote this."""
        return self.log_e >= LEVEL


def streams(texts: Texts) -> list[Stream]:
    """One a server with seeded responses: of the streams and bases that it can mean, one that is recognised and contradicts least."""
    found: dict[tuple[str, str], Stream] = {}
    untempered = _every(texts, untempered=True)
    for one in _every(texts, untempered=False):
        key = one.engine, one.model
        one = replace(one, untempered=_explains(untempered, one))
        if key not in found or _rank(one) > _rank(found[key]):
            found[key] = one
    return list(found.values())


def _explains(untempered: Sequence[Stream], one: Stream) -> bool:
    """Whether the stream with the temperature left out explains most tokens that this one contradicts."""
    name = one.engine, one.model, one.basis, one.name
    plain = next((p for p in untempered if (p.engine, p.model, p.basis, p.name) == name), None)
    return plain is not None and plain.recognised and 4 * plain.contradicted <= one.contradicted


def _every(texts: Texts, *, untempered: bool) -> list[Stream]:
    if texts.seeds is None:
        return []
    found = []
    keys = ("engine", "model", "stream", "assumed", "basis")
    mine = texts.seeds.filter(pl.col("untempered") == untempered)
    for row in mine.group_by(keys, maintain_order=True).agg(pl.col(pl.Int64, pl.Float64).sum()).to_dicts():
        one = Stream(
            row["engine"], row["model"], row["stream"], Drafting(row["assumed"]) if row["assumed"] else None, row["basis"],
            row["explained"], row["contradicted"], row["untold"],
            mean([row[f"bet{i}"] for i in range(len(ODDS))]),
        )  # fmt: skip
        key = one.engine, one.model
        known = texts.basis.known(key)
        if known is not None and (one.basis == "raw") != (known == "raw"):
            continue
        found.append(one)
    return found


def _rank(one: Stream) -> tuple[bool, int, float]:
    known = one.recognised or one.untempered
    return known, -one.contradicted if known else 0, one.log_e


def outcome(counts: Counts) -> Outcome:
    """Fires where a recognised stream contradicts tokens; cannot tell where the stream is not recognised."""
    held = counts.sums[0]["texts"] if counts.sums else None
    texts = held if isinstance(held, Texts) else Texts()
    found = streams(texts)
    n = sum(one.tokens for one in found)
    if not n:
        return Outcome(
            "cannot-tell", 0, texts.tokens, (), None, "no seeded response of an engine whose draws are known here"
        )
    spoken = [one for one in found if one.recognised or one.untempered]
    known = [one for one in spoken if not (one.stream == PLAIN and one.contradicted)]
    other = [one for one in spoken if one not in known]
    bad = [one for one in known if one.contradicted]
    if bad:
        worst = max(bad, key=lambda one: one.contradicted)
        many = worst.contradicted >= SURE and worst.contradicted >= SHARE * worst.tokens
        assumed = None if many else "few: noise of the engine's own arithmetic may explain them"
        if many and worst.engine == "vllm" and not texts.one_hot:
            assumed = "drafts are the drafter's best token; sampled ones follow another law"
        if many and worst.assumed is Drafting.BY_MATCH and not texts.one_hot:
            assumed = (
                "the drafter's best token is compared with the one drawn, as by default (--spec-draft-sampling greedy)"
            )
        if many and worst.assumed is Drafting.CHAIN:
            assumed = (
                "one draft a place, kept where its coin falls below p (--speculative-eagle-topk 1, thresholds of 1)"
            )
        says = f"{worst.contradicted:,} of {worst.tokens:,} seeded tokens contradict the request's own draws ({worst.name})"
        seen = [
            {k: v for k, v in row.items() if k != "size"} | {"surface": "response"}
            for row in texts.witnesses.get("seeds", ())
        ]
        first = (seen[0] if seen else {}) | {
            "engine": worst.engine, "statistic": "seeded tokens", "tokens": worst.tokens, "contradicted": worst.contradicted,
            "assumed": assumed, "untempered": many and worst.untempered,
        }  # fmt: skip
        return Outcome(
            "fired",
            n,
            texts.tokens,
            (),
            worst.contradicted / worst.tokens,
            says,
            worst.contradicted,
            (first, *seen[1:]),
        )
    if not known and other:
        c = sum(one.contradicted for one in other)
        steps = f"no steps of {DRAFTED[0]} to {DRAFTED[-1]} drafts in a chain explain them"
        why = f"{c:,} of {n:,} seeded tokens are no plain draws, and {steps}: a tree of drafts, or wrong"
        return Outcome("cannot-tell", n, texts.tokens, (), None, why)
    if not known:
        loud = max(one.log_e for one in found)
        why = f"no stream that is known of this engine explains its {n:,} seeded tokens (e-value {power(loud)}): another release, or wrong"
        return Outcome("cannot-tell", n, texts.tokens, (), None, why)
    says = f"each of {sum(one.tokens for one in known):,} seeded tokens is what the request's own draws give"
    return Outcome("clear", n, texts.tokens, (), 0.0, says)

"""Why every drafted token of a step was accepted or rejected, in words and numbers.

Decisions are recomputed from what was logged, ties accept: rejected only if r is strictly greater than the ratio. Where
the numbers cannot decide, the recorded outcome is followed, and said to be.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from sdtrace.schema.run import Run
from sdtrace.verify.law import children, parameters
from sdtrace.verify.laws import named
from sdtrace.verify.laws.greedy import NEAR_TIE

Token = dict[str, Any]
Verdict = tuple[str, str]

ACCEPTED, REJECTED, NOT_REACHED, UNDECIDABLE = "accepted", "rejected", "not reached", "undecidable"


def explain_steps(steps: pl.DataFrame, run: Run, law: str | None = None, *, ids: bool = True) -> list[dict[str, Any]]:
    """The `steps` of `explain --json` for a frame with the columns of STEP and `line`.

    `ids` False leaves every token id out of values and words.
    The law of a step is `law`, or its column `law`, or the run's rule, or greedy where its column `temperature` is 0.
    """
    chain = {"chain": children(parameters(run)) == 1}
    told = [_step(row | chain, _law(row, run, law), ids) for row in steps.iter_rows(named=True)]
    return told if ids else [_without_ids(step) for step in told]


def _without_ids(step: dict[str, Any]) -> dict[str, Any]:
    last = step["last"] and {**step["last"], "token": None}
    return step | {"last": last, "emitted": None, "tokens": [{**token, "token": None} for token in step["tokens"]]}


def _law(row: Mapping[str, Any], run: Run, law: str | None) -> str:
    if law is not None:
        return law
    if row.get("temperature") == 0:
        return "greedy"
    return str(row.get("law") or run.rule or "ratio")


def _step(row: Mapping[str, Any], law: str, ids: bool) -> dict[str, Any]:
    tau = len(row["draft_token_ids"] or [])
    verified = min(row["verified_len"] if row["verified_len"] is not None else tau, tau)
    recorded = _recorded(row, verified)
    tokens: list[Token] = []
    rejected_at: int | None = None
    for j in range(tau):
        tokens.append(_token(row, law, j, verified, recorded, rejected_at, ids))
        if rejected_at is None and tokens[-1]["stops"]:
            rejected_at = j
    n_a = sum(token["outcome"] for token in tokens)
    for token in tokens:
        del token["stops"], token["outcome"]
    output, kept = row["output_token_ids"], n_a if recorded is None else recorded
    last = _last(row, kept, verified)
    more = 0 if output is None else len(output) - kept - 1
    return {
        "request_id": row["request_id"],
        "step": row["step"],
        "rule": law,
        "accepted": n_a,
        "appended": len(output) if output is not None else n_a + (1 if last else 0),
        "tokens": tokens,
        "last": last,
        "run_id": row["run_id"],
        "path": row.get("path"),
        "line": row.get("line"),
        "recorded": recorded,
        "emitted": output,
        "parts": recorded is not None and recorded != n_a,
        "beyond": max(more, 0),
        "sentence": _sentence(law, n_a, verified, recorded, last, ids) + _beyond(more),
    }


def _recorded(row: Mapping[str, Any], verified: int) -> int | None:
    if row["num_accepted"] is not None:
        return int(row["num_accepted"])
    if row["accepted"]:
        flags: Sequence[bool] = row["accepted"][:verified]
        return next((i for i, flag in enumerate(flags) if not flag), len(flags))
    return len(row["output_token_ids"]) - 1 if row["output_token_ids"] else None


def _token(
    row: Mapping[str, Any],
    law: str,
    j: int,
    verified: int,
    recorded: int | None,
    rejected_at: int | None,
    ids: bool,
) -> Token:
    p, r = _at(row["target_probs"], j), _at(row["uniforms"], j)
    fact = named(law)
    q = 1.0 if fact is not None and fact.draft == "point-mass" else _at(row["draft_probs"], j)
    one_hot = row["draft_probs"] is None and fact is not None and fact.draft == "sampled" and fact.decides == "token"
    divisor = 1.0 if one_hot else q
    ratio = p / divisor if p is not None and divisor else None
    token: Token = {"position": j, "token": row["draft_token_ids"][j], "target": p, "draft": q, "r": r, "ratio": ratio}
    by_record = None if recorded is None else j < recorded
    if rejected_at is not None:
        verdict: Verdict = (NOT_REACHED, f"not reached: position {rejected_at} was rejected")
    elif j >= verified:
        verdict = (NOT_REACHED, f"not verified: the engine verified {verified} of the drafted tokens")
    else:
        verdict = (
            _by_id(row, law, j, ids)
            if fact is not None and fact.residual in ("argmax", "same")
            else _of_tree(p, r)
            if law == "tree-coin" and not row["chain"]
            else _decide(law, p, 1.0 if one_hot else q, r, one_hot)
        )
    decision, reason = verdict
    outcome = decision == ACCEPTED
    if decision == UNDECIDABLE:
        outcome = bool(by_record)
        reason += _follow(by_record)
    agrees = None if by_record is None or decision in (NOT_REACHED, UNDECIDABLE) else by_record == outcome
    if agrees is False:
        reason += f"; THE RECORD SAYS {'accepted' if by_record else 'rejected'}"
    stops = decision == REJECTED or (decision == UNDECIDABLE and not outcome)
    shown = {k: _finite(v) if isinstance(v, float) else v for k, v in token.items()}
    strange = {k: _name(v) for k, v in token.items() if isinstance(v, float) and not math.isfinite(v) and k != "ratio"}
    return (
        shown
        | ({"not_finite": strange} if strange else {})
        | {"decision": decision, "reason": reason, "agrees": agrees, "stops": stops, "outcome": outcome}
    )


def _follow(by_record: bool | None) -> str:
    if by_record is None:
        return "; nothing records what happened"
    return f"; the record says {'accepted' if by_record else 'rejected'}"


def _by_id(row: Mapping[str, Any], law: str, j: int, ids: bool) -> Verdict:
    return _greedy(row, j, ids) if law == "greedy" else _match(row, j, ids)


def _of_tree(p: float | None, r: float | None) -> Verdict:
    """One coin a node, held to the sum of p over the children tried so far, of which the record holds one."""
    verdict = ratio_verdict(p, 1.0, r, one_hot=True)
    if verdict[0] != REJECTED or p == 0.0:
        return verdict
    return (
        UNDECIDABLE,
        f"the coin {r:.6g} is above target {p:.6g}, but siblings that were tried before are not recorded",
    )


def _decide(law: str, p: float | None, q: float | None, r: float | None, one_hot: bool) -> Verdict:
    fact = named(law)
    if fact is not None and fact.quotient:
        return ratio_verdict(p, q, r, one_hot=fact.draft == "point-mass" or one_hot)
    return UNDECIDABLE, f"the {law} law is not decided token by token here"


def ratio_verdict(p: float | None, q: float | None, r: float | None, *, one_hot: bool) -> Verdict:
    """The ratio law on one token (Leviathan et al. 2023): accepted when p >= q, otherwise rejected only if r > p/q."""
    for name, value in (("target", p), ("draft", q)):
        if value is None:
            return UNDECIDABLE, f"the {name} probability is not recorded"
        if not 0.0 <= value <= 1.0 + 1e-5:
            return UNDECIDABLE, f"the {name} probability is {_name(value)}, which is no probability"
    assert p is not None
    assert q is not None
    if q == 0.0:
        return UNDECIDABLE, "draft probability 0: the token cannot have been drawn from this draft distribution"
    if p >= q:
        return ACCEPTED, f"accepted: target {p:.6g} is at least draft {q:.6g}"
    ratio = p / q
    how = f"target {p:.6g}, the draft counts as certain" if one_hot else f"target {p:.6g} / draft {q:.6g}"
    if r is None:
        return UNDECIDABLE, f"target {p:.6g} is below draft {q:.6g} and no uniform is recorded (ratio {ratio:.6g})"
    if not 0.0 <= r <= 1.0:
        return UNDECIDABLE, f"the uniform {r:g} is outside [0, 1]"
    if r > ratio:
        return REJECTED, f"rejected: r {r:.6g} is above the ratio {ratio:.6g} ({how})"
    return ACCEPTED, f"accepted: r {r:.6g} is not above the ratio {ratio:.6g} ({how})"


def _greedy(row: Mapping[str, Any], j: int, ids: bool) -> Verdict:
    best, gap = _at(row["target_argmax_ids"], j), _at(row["target_top2_gap"], j)
    token = row["draft_token_ids"][j]
    if best is None:
        return UNDECIDABLE, "temperature 0, and the target's most probable token is not recorded"
    tie = f" (near-tie: the two best logits are {gap:.4g} apart)" if gap is not None and gap <= NEAR_TIE else ""
    if token == best:
        return ACCEPTED, f"accepted: {token if ids else 'it'} is the target's most probable token{tie}"
    other = f"is {best:.0f}, not {token}" if ids else "is another one"
    return REJECTED, f"rejected: the target's most probable token {other}{tie}"


def _match(row: Mapping[str, Any], j: int, ids: bool) -> Verdict:
    drawn = _at(row["output_token_ids"], j)
    token = row["draft_token_ids"][j]
    if drawn is None:
        return UNDECIDABLE, "the token that the target drew here is not recorded"
    if drawn == token:
        return ACCEPTED, f"accepted: the target drew the same token{f' {token}' if ids else ''}"
    return REJECTED, f"rejected: the target drew {f'{drawn:.0f}, not {token}' if ids else 'another token'}"


def _name(value: float) -> str:
    """A value that is no probability, as people write it."""
    return f"{value:g}" if math.isfinite(value) else "NaN" if value != value else f"{'-' if value < 0 else ''}infinite"


def _last(row: Mapping[str, Any], n_a: int, verified: int) -> dict[str, Any] | None:
    """The token that was appended behind the block: behind the `n_a` tokens that the engine accepted, whatever the law says."""
    output = row["output_token_ids"]
    if not output or len(output) <= n_a:
        return None
    kind = "plain" if verified == 0 else "bonus" if n_a == verified else "recovered"
    return {"kind": row["last_kind"] or kind, "token": output[n_a]}


def _sentence(
    law: str, n_a: int, verified: int, recorded: int | None, last: Mapping[str, Any] | None, ids: bool
) -> str:
    if verified == 0:
        return "Nothing was drafted: the step appends one plain token drawn from the target."
    kept = f"{n_a} of {verified} drafted tokens {'is' if n_a == 1 else 'are'} appended"
    if n_a == verified:
        follows = "the bonus token follows, drawn from the target after the last drafted one"
        why = "all of them were accepted"
    else:
        follows = _recovery(law)
        why = f"the block stops at position {n_a}, the first rejection, whatever the later ones say"
    if recorded is not None and recorded != n_a:
        engine = f"THE RECORD SAYS {recorded} accepted, and it contradicts the numbers."
        what = "" if not last else f"token {last['token']}" if ids else "a token"
        then = f" It appended {what} ({last['kind']}) behind them." if last else ""
        return f"By the law {kept}: {why}. Then {follows}. {engine}{then}"
    token = " The record does not hold it." if not last else f" It is token {last['token']}." if ids else ""
    return f"{kept}: {why}. Then {follows}.{token}"


def _beyond(more: int) -> str:
    """What the record appends behind the one token that may follow a block."""
    return "" if more < 1 else f" THE RECORD HOLDS {more} more token{'s' if more > 1 else ''}."


def _recovery(law: str) -> str:
    fact = named(law)
    residual = None if fact is None else fact.residual
    if residual == "argmax":
        return "the target's most probable token follows"
    if residual == "same":
        return "the token that the target drew follows"
    if residual == "without-x":
        return "a recovered token follows, drawn from the target without the rejected token"
    return "a recovered token follows, drawn from what the target has more than the draft (p > q, so never the rejected one)"


def _at(values: Sequence[Any] | None, j: int) -> float | None:
    value = values[j] if values is not None and j < len(values) else None
    return None if value is None else float(value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

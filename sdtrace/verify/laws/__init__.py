"""Every verification law by its name in the vocabulary, and which of them an undeclared run could be under."""

import importlib
import pkgutil
from collections.abc import Callable

from sdtrace.verify.law import Law
from sdtrace.verify.positions import Positions


def _laws() -> dict[str, Law]:
    found: dict[str, Law] = {}
    for module in pkgutil.iter_modules(__path__):
        held = vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        found |= {law.name: law for law in held if isinstance(law, Law)}
    return found


LAWS: dict[str, Law] = _laws()


def where(holds: Callable[[Law], bool]) -> frozenset[str]:
    """Names of the laws of which a fact holds."""
    return frozenset(name for name, law in LAWS.items() if holds(law))


#: Other words for a law, as papers and engines have them.
_ALSO = {
    "specinfer": "multi-draft",
    "mss": "multi-draft",
    "spectr": "multi-draft",
    "k-sequence": "multi-draft",
    "k-sequential": "multi-draft",
    "sequoia": "multi-draft",
}


def named(rule: str | None) -> Law | None:
    """The law that a run's word means; None for no word, and for one that is not known."""
    return None if rule is None else LAWS.get(rule, LAWS.get(_ALSO.get(rule.strip().lower(), "")))


def candidates(pos: Positions) -> list[Law]:
    """The lossless laws that a record without a declared rule could have been made under, judged by its columns."""
    steps = pos.steps
    holds = {name: steps[name].null_count() < steps.height for name in ("draft_probs", "target_probs")}
    names = ["ratio", "block"] if holds["draft_probs"] and holds["target_probs"] else []
    if holds["target_probs"]:
        names += ["one-hot", "match"]
    # a temperature that is known and not 0 is no greedy request's; one that is 0 never comes here
    if steps["target_argmax_ids"].null_count() < steps.height and steps["temperature"].null_count() == steps.height:
        names.append("greedy?")
    return [LAWS[name] for name in names if name in LAWS] or [LAWS["ratio"]]

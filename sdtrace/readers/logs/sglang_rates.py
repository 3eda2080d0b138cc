"""What the accept rate of SGLang's decode lines means: the rule that all lines of one draft length fit."""

from sdtrace.readers.sglang_meta import open_rule, rules
from sdtrace.schema.counters import Row


def meaning(rows: list[Row], active: int | None, nodes: int | None = None) -> list[Row]:
    """Rows of one draft length with their rate under the rule that all of them fit; `active`: the length, where it is told;
    `nodes`: verified tokens a step as configured, which decide between the rules where both fit."""
    both = [r for r in rows if r["said_length"] is not None and r["said_rate"] is not None]
    told = [rules(r["said_length"], r["said_rate"]) for r in both]
    full = [r["said_length"] > 1.005 or r["said_rate"] > 0.005 for r in both]
    old = set.intersection(*(o for (o, _), f in zip(told, full, strict=True) if f)) if any(full) else set()
    new = set.intersection(*(n for _, n in told)) if told else set()
    if nodes and old and new and (nodes in old) != (nodes - 1 in new):
        old, new = ({nodes}, set()) if nodes in old else (set(), {nodes - 1})
    for row in rows:
        row["length"] = row["said_length"]
        dot, _ = row.pop("dot"), row.pop("last")
        if row["said_length"] is None:
            row |= {"basis": "gauge", "family": None}
            continue
        if row["said_rate"] is None:
            row["family"] = "up to 0.5.3, no rate" if dot else "rate not printed"
            continue
        era = _era(row, old, new, dot)
        if era is not None:
            row["family"] = _FAMILIES[era]
        if era == "old":
            n = min(old or rules(row["said_length"], row["said_rate"])[0], default=None)
            k = n - 1 if n and len(old) <= 1 else None
            row |= {"k": k, "rate": (row["said_length"] - 1) / k if k else None}
        elif era == "new":
            row["k"] = next(iter(new)) if len(new) == 1 else None
            row["rate"] = row["said_rate"]
        else:
            row |= open_rule(old, new)
            if k := active or row["k"]:
                row["rate"] = (row["said_length"] - 1) / k
        row["k"] = row.get("k") if active is None else active
    return rows


#: What each rule of the rate is called.
_FAMILIES = {
    "old": "0.5.3-0.5.10, rate counts the bonus",
    "new": "0.5.11+",
}


def _era(row: Row, old: set[int], new: set[int], dot: bool) -> str | None:
    if dot or (old and not new):
        return "old"
    if new and not old:
        return "new"
    if old and new:
        return None if max(old) > 1 else "new"
    mine_old, mine_new = rules(row["said_length"], row["said_rate"])  # several servers in one log
    return "old" if mine_old and not mine_new else "new" if mine_new and not mine_old else None

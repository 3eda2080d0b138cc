"""Scrapes in files that tell no time: what was added between two of one server, the sum of those of several."""

from pathlib import Path

import pytest

from tests.made.simulate import document

NAMES = ("num_drafts", "num_draft_tokens", "num_accepted_tokens")
#: Counters of a server at two times: 1,000 steps and 500 more; 1,800 of 3,000 and 300 of 1,500 accepted.
FIRST, SECOND = (1000, 3000, 1800), (1500, 4500, 2100)


def page(counts: tuple[int, int, int], labels: str = 'engine="0"', created: float | None = None) -> str:
    lines = [f"vllm:spec_decode_{n}_total{{{labels}}} {c}.0" for n, c in zip(NAMES, counts, strict=True)]
    if created is not None:
        lines += [f"vllm:spec_decode_{n}_created{{{labels}}} {created}" for n in NAMES]
    return "\n".join(lines) + "\n"


#: (names of files and their pages, (steps, drafted, accepted), what is said of it)
SCRAPES = {
    # 1500 - 1000, 4500 - 3000, 2100 - 1800
    "before and after": ({"before.prom": page(FIRST), "after.prom": page(SECOND)}, (500, 1500, 300), "no counter fell"),
    "of one process": (
        {"vllm-0.prom": page(FIRST, created=1795e6), "vllm-1.prom": page(SECOND, created=1795e6)},
        (500, 1500, 300),
        "no counter fell",
    ),
    # 1000 + 1500, ...
    "of two processes": (
        {"a.prom": page(FIRST, created=1795e6), "b.prom": page(SECOND, created=1796e6)},
        (2500, 7500, 3900),
        "added up",
    ),
    "of two pods by their names": ({"vllm-0.prom": page(FIRST), "vllm-1.prom": page(SECOND)}, (2500, 7500, 3900), "added up"),
    "one counter fell": ({"a.prom": page(FIRST), "b.prom": page((1500, 4500, 1700))}, (2500, 7500, 3500), "added up"),
    "of two instances": (
        {"a.prom": page(FIRST, 'instance="a"'), "b.prom": page(SECOND, 'instance="b"')},
        (2500, 7500, 3900),
        None,
    ),
    # 1500 - 1000 of a, 2000 - 1500 of b
    "twice two engines": (
        {
            "t0.prom": page(FIRST, 'engine="0"') + page(SECOND, 'engine="1"'),
            "t1.prom": page(SECOND, 'engine="0"') + page((2000, 6000, 2400), 'engine="1"'),
        },
        (1000, 3000, 600),
        "no counter fell",
    ),
}  # fmt: skip


@pytest.mark.one_of(10)
@pytest.mark.parametrize("name", SCRAPES)
@pytest.mark.parametrize("turned", [False, True])
def test_scrapes(name: str, turned: bool, tmp_path: Path) -> None:
    pages, counts, says = SCRAPES[name]
    for file, text in pages.items():
        (tmp_path / file).write_text(text)
    paths = [tmp_path / file for file in pages]
    found = document(paths[::-1] if turned else paths)
    a = found["acceptance"]
    assert (a["steps"], a["drafted"], a["accepted"]) == counts
    told = [note for note in found["verdict"]["not_checked"] if "are of one server" in note]
    assert (says is None and not told) or (says is not None and says in told[0])
    assert not [change for change in found["changes"] or [] if change["what"] == "restart"]

"""Tables of the terminal through rich: aligned columns, numbers to the right, words wrapped in what is left, colour where asked."""

from collections.abc import Sequence
from io import StringIO

#: A cell, or one with a style of rich.
Cell = str | tuple[str, str]
#: Columns that a wrapped one needs at least.
_WORDS = 24


def table(
    head: Sequence[str], rows: Sequence[Sequence[Cell]], *, width: int, color: bool, wrapped: int | None = None
) -> list[str]:
    """Lines of a table, two blanks from the left. Column `wrapped` holds words and takes what is left of `width`.

    Columns beyond `width` are left out whole, never cut, and counted in a line of their own.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    texts = [[cell if isinstance(cell, str) else cell[0] for cell in row] for row in rows]
    sizes = [max(len(line[i]) for line in [list(head), *texts]) for i in range(len(head))]
    if wrapped is not None:
        sizes[wrapped] = min(sizes[wrapped], _WORDS)
    fits = next((i for i in range(len(head)) if i > 1 and sum(sizes[: i + 1]) + 2 * (i + 1) > width), len(head))
    fits = len(head) if wrapped is not None else fits
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold" if color else "")
    for i, name in enumerate(head[:fits]):
        figures = i > 0 and all(_is_figure(line[i]) for line in texts)
        made.add_column(Text(name), justify="right" if figures else "left", no_wrap=i != wrapped, overflow="fold")
    for row in rows:
        cells = (Text(cell) if isinstance(cell, str) else Text(cell[0], style=cell[1]) for cell in row[:fits])
        made.add_row(*cells)
    out = StringIO()
    console = Console(
        file=out,
        width=width - 2,
        color_system="standard" if color else None,
        force_terminal=color,
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(made)
    lines = [f"  {line.rstrip()}" for line in out.getvalue().splitlines()]
    left = len(head) - fits
    return lines if not left else [*lines, f"  and {left} more column{'s' if left > 1 else ''} in --json and -o"]


def _is_figure(cell: str) -> bool:
    return cell in ("-", "") or cell.strip("+-%").replace(",", "").replace(".", "").replace("e-", "").isdigit()

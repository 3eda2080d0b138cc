"""Progress of whatever takes longer than a second: how far, how fast, how long still; on a terminal only, and gone at the end."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, Task, TaskID

#: What of a stage is done, of how many.
Stage = Callable[[str, int, int], None]
#: Seconds before anything is drawn.
AFTER = 1.0


@contextmanager
def reading(*, quiet: bool = False) -> Iterator[None]:
    """A bar of the lines that are read, while inputs are."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from sdtrace.readers.listening import listening
    from sdtrace.render.text import clean

    bar = Bar("lines")
    with bar.closing(), listening(lambda path, done, lines: bar.at(f"reading {clean(path, 40)}", done, lines)):
        yield


@contextmanager
def stages(*, quiet: bool = False) -> Iterator[Stage | None]:
    """A bar for stages that tell how far they are; None where nobody looks."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    bar = Bar("")
    with bar.closing():
        yield bar.at


class Bar:
    """One line a stage: name, bar, count, rate, time left. Nothing is drawn in the first second."""

    def __init__(self, unit: str, console: "Console | None" = None, after: float = AFTER) -> None:
        self.unit, self.console, self.after = unit, console, after
        self.begun = time.monotonic()
        self.drawn: Progress | None = None
        self.tasks: dict[str, TaskID] = {}

    def at(self, what: str, done: int | None, total: int | None) -> None:
        """`what` has come to `done` of `total`; None: it has ended."""
        if self.drawn is None:
            if time.monotonic() - self.begun < self.after:
                return
            self.drawn = self._begin()
        if what not in self.tasks:
            self.tasks[what] = self.drawn.add_task(what, total=total)
        task = self.tasks[what]
        if done is None:
            self.drawn.remove_task(self.tasks.pop(what))
        else:
            # a total that was only estimated is not overrun
            self.drawn.update(task, completed=done, total=None if total is None else max(total, done))

    def _begin(self) -> "Progress":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
        from rich.text import Text

        class Rate(ProgressColumn):
            """Units a second."""

            def render(self, task: "Task") -> Text:
                speed = task.finished_speed or task.speed
                return Text("" if speed is None else f"{speed:,.0f}/s")

        made = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:,.0f} " + self.unit, markup=False),
            Rate(),
            TimeRemainingColumn(compact=True),
            console=self.console or Console(stderr=True, highlight=False),
            transient=True,
        )
        made.start()
        return made

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Whatever was drawn is gone at the end, before anything else is printed."""
        try:
            yield
        finally:
            if self.drawn is not None:
                self.drawn.stop()

"""Work that threads pull from one iterator: whoever is free fetches the next job, and does it.

Nothing is made in advance: as many jobs are in memory as there are threads.
"""

from collections.abc import Callable, Iterator
from contextvars import copy_context
from threading import Lock, Thread
from typing import TypeVar, cast

import numpy as np

Job = TypeVar("Job")
_END = object()


def pulled(jobs: Iterator[Job], work: Callable[[Job], None], threads: int) -> None:
    """`work` on every job, by this thread and `threads` - 1 others; one of them at a time advances `jobs`.

    The first error, of either, is raised here when all have stopped; no new job is begun after it.
    """
    lock = Lock()
    errors: list[BaseException] = []

    def pull() -> None:
        try:
            while True:
                with lock:
                    if errors:
                        return
                    job = next(jobs, _END)
                if job is _END:
                    return
                work(cast(Job, job))
        except BaseException as error:  # raised again below
            errors.append(error)

    settings = np.geterr()

    def pull_alike() -> None:
        with np.errstate(**settings):  # part of the context from numpy 2 on
            pull()

    # what this thread has set for its arithmetic holds for the others, too
    others = [Thread(target=copy_context().run, args=(pull_alike,), daemon=True) for _ in range(threads - 1)]
    for thread in others:
        thread.start()
    pull()
    for thread in others:
        thread.join()
    if errors:
        raise errors[0]

"""Threads do every job once and tell of errors."""

from collections.abc import Iterator
from threading import Barrier, get_ident

import numpy as np
import pytest

from sdtrace.audit.workers import pulled


def test_threads_do_every_job_once_and_side_by_side() -> None:
    meet, done, who = Barrier(3, timeout=20), [], set()

    def work(job: int) -> None:
        if job < 3:
            meet.wait()  # three threads are here at once, or this breaks
        who.add(get_ident())
        done.append(job)

    pulled(iter(range(40)), work, 3)
    assert sorted(done) == list(range(40))
    assert len(who) == 3


@pytest.mark.parametrize("error", [ValueError("no more"), StopIteration("no more")])
@pytest.mark.parametrize("where", ["jobs", "work"])
def test_an_error_is_raised_and_ends_the_work(where: str, error: Exception) -> None:
    done: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(1000):
            if where == "jobs" and job == 5:
                raise error
            yield job

    def work(job: int) -> None:
        if where == "work" and job == 5:
            raise error
        done.append(job)

    # Python makes a RuntimeError of a generator's StopIteration
    with pytest.raises((type(error), RuntimeError)):
        pulled(jobs(), work, 3)
    assert len(done) < 1000


def test_threads_work_under_the_settings_of_their_caller() -> None:
    meet, seen = Barrier(3, timeout=20), []

    def work(job: int) -> None:
        meet.wait()
        seen.append(np.geterr()["divide"])

    with np.errstate(divide="raise"):
        pulled(iter(range(3)), work, 3)
    assert seen == ["raise"] * 3

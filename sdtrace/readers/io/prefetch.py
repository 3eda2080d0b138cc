"""The next items of an iterator, made in a thread of their own while the ones before are looked at."""

from collections.abc import Generator, Iterator
from queue import Queue
from threading import Event, Thread
from typing import TypeVar, cast

Item = TypeVar("Item")


def ahead(items: Iterator[Item], depth: int) -> Generator[Item, None, None]:
    """The items in their order, up to `depth` of them made in advance. An error is raised where it would have been.

    Closing the generator early stops the thread after the item that it is making.
    """
    ready: Queue[tuple[str, Item | BaseException | None]] = Queue(depth)
    stop = Event()

    def run() -> None:
        try:
            for item in items:
                ready.put(("item", item))
                if stop.is_set():
                    return
            ready.put(("end", None))
        except BaseException as error:  # it is raised again in the consumer
            ready.put(("error", error))

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            kind, item = ready.get()
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(item, BaseException)
                raise item
            yield cast(Item, item)
    finally:
        stop.set()
        while thread.is_alive():  # a full queue would hold the thread
            while not ready.empty():
                ready.get_nowait()
            thread.join(0.01)

"""`TraceWriter`: one call a step, written behind the engine's back, and never in its way.

The engine's thread only puts a dict into a bounded queue. A thread of the writer turns it into trace format 1. Where
something is wrong (queue full, disk full, size cap, a column that the format does not know) records are dropped,
counted by reason, logged once a reason, and the counts stand in the run's `config.recorder`: a server that is being
recorded must not notice. After SIGKILL everything is readable but the records of the last buffer.
"""

import atexit
import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sdtrace.record.files import JsonLines, Parts, Row
from sdtrace.schema.sampling import ticket
from sdtrace.schema.trace import TABLES

_log = logging.getLogger("sdtrace.record")
#: What follows an error of the disk.
_MENDED = " in {}; it records again, in a new file, as soon as that folder can be written to"


class TraceWriter:
    """Writes one run into a folder that `sdtrace report FOLDER` reads.

    `run` holds columns of the run table (run_id, engine, rule, ...). `encoding` is jsonl or parquet. `sample` keeps
    that share of the requests, chosen by hash of their id, with all their steps. Buffers are written after
    `flush_records` records or `flush_seconds`, whichever is first. A file is `rotate_bytes` long at most (JSON Lines);
    after `max_bytes` in all nothing more is recorded. `queue_records` may wait for the disk.
    New files have `mode`, new folders the same with the right to enter.
    Values may be lists or numpy arrays; None is absent. No method raises on what is recorded or on the disk.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        run: Mapping[str, Any] | None = None,
        *,
        encoding: str = "jsonl",
        sample: float = 1.0,
        flush_records: int | None = None,
        flush_seconds: float | None = None,
        rotate_bytes: int = 256 << 20,
        max_bytes: int | None = None,
        queue_records: int = 20_000,
        mode: int = 0o600,
    ) -> None:
        if encoding not in ("jsonl", "parquet"):
            raise ValueError(f"encoding is jsonl or parquet, not {encoding!r}")
        parts = encoding == "parquet"
        self.folder, self.sample, self.max_bytes = Path(folder), sample, max_bytes
        self.flush_records = flush_records or (8192 if parts else 256)
        self.flush_seconds = flush_seconds if flush_seconds is not None else (10.0 if parts else 1.0)
        self.written, self.bytes = 0, 0
        self.dropped: Counter[str] = Counter()
        self._files = Parts(self.folder, mode) if parts else JsonLines(self.folder, rotate_bytes, mode)
        self._queue: queue.Queue[Row | None] = queue.Queue(queue_records)
        self._run = {"run_id": "", **(run or {})}
        self._said: set[str] = set()
        self._closed = False
        self._put("run", self._run)
        self._thread = threading.Thread(target=self._work, name="sdtrace-writer", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def step(self, request_id: str, step: int, **columns: Any) -> None:
        """One verification of one request: columns of the step table."""
        if self.keeps(request_id):
            self._put("step", self._keyed(request_id) | {"step": step, **columns})

    def request(self, request_id: str, **columns: Any) -> None:
        """What is known of a request; best when it begins, again when it ends."""
        if self.keeps(request_id):
            self._put("request", self._keyed(request_id) | columns)

    def keeps(self, request_id: str) -> bool:
        """Whether this request belongs to the sample: ask before computing what would be thrown away."""
        return self.sample >= 1.0 or ticket(str(request_id)) < self.sample

    def close(self, timeout: float = 10.0) -> None:
        """Write what waits. Returns after `timeout` seconds at the latest."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        try:
            self._queue.put(None, timeout=timeout)
        except queue.Full:
            self._drop("queue full at the end", self._queue.qsize())
        self._thread.join(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _keyed(self, request_id: str) -> dict[str, Any]:
        return {"run_id": self._run["run_id"], "request_id": str(request_id)}

    def _put(self, table: str, row: dict[str, Any]) -> None:
        unknown = row.keys() - TABLES[table].keys()
        if unknown:
            self._drop(f"the format has no {table} column {min(unknown)!r}")
        elif self._closed:
            self._drop("the writer is closed")
        else:
            try:
                self._queue.put_nowait((table, row))
            except queue.Full:
                self._drop("queue full: the disk is slower than the engine")

    def _drop(self, why: str, count: int = 1, more: str = "") -> None:
        self.dropped[why] += count
        if why not in self._said:
            self._said.add(why)
            _log.warning("sdtrace drops records from now on: %s%s (counted in the trace)", why, more)

    def _work(self) -> None:
        buffer: list[Row] = []
        due = time.monotonic() + self.flush_seconds
        while True:
            try:
                row = self._queue.get(timeout=max(due - time.monotonic(), 0.001))
                ended = row is None
                if row is not None:
                    buffer.append(row)
            except queue.Empty:
                ended = False
            if ended or len(buffer) >= self.flush_records or time.monotonic() >= due:
                self._flush(buffer, ended)
                buffer, due = [], time.monotonic() + self.flush_seconds
            if ended:
                self._files.close()
                return

    def _flush(self, buffer: list[Row], ended: bool) -> None:
        if buffer:
            self._write(buffer, ended)
        if ended:  # by now everything that was dropped is counted
            self._write([("run", self._run | {"config": self._config()})], ended)

    def _write(self, buffer: list[Row], ended: bool) -> None:
        records = sum(table != "run" for table, _ in buffer)
        if self.max_bytes is not None and self.bytes >= self.max_bytes and not ended:
            self._drop(f"the cap of {self.max_bytes:,} bytes is reached", records)
            return
        try:
            self.bytes += self._files.write(buffer)
        except Exception as error:
            why = f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"[:160]
            self._drop(why, records, _MENDED.format(self.folder) if isinstance(error, OSError) else "")
            return
        for (table, why), count in self._files.refused.items():
            self._drop(why, count)
            records -= count if table != "run" else 0
        self.written += records

    def _config(self) -> dict[str, Any]:
        told = {"written": self.written, "sample": self.sample, "dropped": dict(self.dropped)}
        return {**(self._run.get("config") or {}), "recorder": told}

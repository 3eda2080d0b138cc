"""Objects of a bucket as inputs: s3://bucket/key and gs://bucket/key, a prefix, or a glob.

The object_store library reads them, which polars uses too; credentials and endpoint come from the environment that it
knows (AWS_*, GOOGLE_*). Objects come through a temporary file, one input at a time and in pieces: memory does not grow.
"""

import importlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from sdtrace.errors import MissingExtraError, NoInputError, UsageError
from sdtrace.schema.json_values import Json
from sdtrace.schema.trace import Batch

#: Bytes asked for at a time, and up to how many an object is looked at as a whole.
PIECE, SMALL = 16 << 20, 8 << 20
#: Of a larger object: its head, its end (where Parquet has its schema), and this many samples of what is between.
_HEAD, _SAMPLE, _SAMPLES = 1 << 20, 1 << 16, 16

_WAYS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (`aws configure export-credentials --format env` prints them), "
    "AWS_REGION, and AWS_ENDPOINT_URL for a store of your own; AWS_SKIP_SIGNATURE=true for a public bucket",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to a key file; GOOGLE_SKIP_SIGNATURE=true for a public bucket",
}


def is_object(path: str) -> bool:
    """Whether an input names something in a bucket."""
    return path.startswith(("s3://", "gs://"))


def _place(url: str) -> tuple[str, str]:
    """Address of the bucket, and the key in it."""
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    return f"{scheme}://{bucket}", key.strip("/")


def _library() -> Any:
    try:
        return importlib.import_module("obstore")
    except ImportError as error:
        raise MissingExtraError(
            "s3:// and gs://: obstore is not installed", "pip install 'sdtrace[cloud]', or copy the files here"
        ) from error


@lru_cache(maxsize=16)
def _store(bucket: str) -> Any:
    _library()
    env, s3 = os.environ, bucket.startswith("s3://")
    endpoint = (env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or "") if s3 else ""
    plain = endpoint.startswith("http://") or env.get(f"{'AWS' if s3 else 'GOOGLE'}_ALLOW_HTTP", "").lower() == "true"
    options = {"connect_timeout": "3s", "timeout": "120s", "allow_http": plain}
    given = {"endpoint": endpoint} if endpoint else {}
    retries = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}
    return importlib.import_module("obstore.store").from_url(
        bucket, client_options=options, retry_config=retries, **given
    )


@contextmanager
def _asking(url: str) -> Iterator[None]:
    """What the library raises, as an error with a way out."""
    library = _library()
    try:
        yield
    except FileNotFoundError as error:
        raise NoInputError("no such object or bucket", "check the address; a prefix ends at a /", url) from error
    except library.exceptions.PreconditionError as error:
        raise NoInputError("changed while it was read", "run again once its writer is done", url) from error
    except (library.exceptions.BaseError, ValueError, OSError) as error:
        raise NoInputError(f"cannot be read: {_said(str(error))}", _WAYS[url[:2]], url) from error


def _said(text: str) -> str:
    """The store's own words where it has some, otherwise the library's without its innards."""
    code, words = (re.search(f"<{tag}>([^<]+)</{tag}>", text) for tag in ("Code", "Message"))
    if code and words:
        return f"{words[1]} ({code[1]})"
    if "169.254.169.254" in text or "metadata.google" in text:
        return "no credentials in the environment, and this machine has no role of its own"
    return " ".join(text.partition("Debug source")[0].split())[:300]


def _meta(url: str) -> Json | None:
    """Size and version of one object; None where no object has that very key."""
    bucket, key = _place(url)
    if not key or url.endswith("/"):
        return None
    try:
        with _asking(url):
            found: Json = _library().head(_store(bucket), key)
    except NoInputError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    return found


def _below(bucket: str, prefix: str) -> list[Json]:
    """Objects under a prefix in the order in which a folder is walked, hidden ones and markers of folders left out."""
    with _asking(f"{bucket}/{prefix}"):
        pages = _library().list(_store(bucket), prefix or None)
        found = {str(one["path"]): dict(one) for page in pages for one in page}
    folders = {key[:i] for key in found for i, sign in enumerate(key) if sign == "/"}
    behind = len(_parts(prefix))
    kept = [k for k in found if k not in folders and not any(p.startswith(".") for p in _parts(k)[behind:])]
    return [found[key] for key in sorted(kept, key=_parts)]


def _parts(key: str) -> list[str]:
    return [part for part in key.split("/") if part]


def expand(url: str) -> list[str]:
    """The inputs that an address stands for: an object, a folder of tables, all below a prefix, or what a glob matches.

    Raises NoInputError where there is none or the store cannot be asked, MissingExtraError without the library.
    """
    bucket, key = _place(url)
    if bucket.endswith("://"):
        raise UsageError(f"{url}: which bucket?", "write it as s3://BUCKET/KEY, or s3://BUCKET/PREFIX/")
    if _meta(url) is not None:
        return [f"{bucket}/{key}"]
    pattern = _parts(key)
    plain = next((i for i, part in enumerate(pattern) if set(part) & set("*?[")), len(pattern))
    top = "/".join(pattern[:plain])
    below = [str(one["path"]) for one in _below(bucket, top)]
    found = _walked(top, below) if plain == len(pattern) else _globbed(below, pattern)
    if not found:
        raise NoInputError("no such object, and nothing below it", "check bucket and key; globs are expanded too", url)
    return [f"{bucket}/{path}" for path in found]


def _globbed(keys: Sequence[str], pattern: Sequence[str]) -> list[str]:
    """What a glob matches, objects and folders alike, folders walked."""
    paths = {"/".join(parts[:n]) for key in keys if (parts := _parts(key)) for n in range(1, len(parts) + 1)}
    chosen = sorted((p for p in paths if _matches(_parts(p), pattern)), key=_parts)
    return [
        path
        for one in chosen
        for path in ([one] if one in keys else _walked(one, [k for k in keys if k.startswith(f"{one}/")]))
    ]


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """As a shell has it: `*` stays within a name, `**` spans folders, neither begins with a dot."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[n:], pattern[1:]) for n in range(len(parts) + 1))
    if not parts or (parts[0].startswith(".") and not pattern[0].startswith(".")):
        return False
    return fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _walked(top: str, keys: Sequence[str]) -> list[str]:
    """Objects below a folder; folders of tables are one input each."""
    tables = {folder for key in keys if (folder := _tables(key)) is not None}
    inside = [(next((t for t in tables if key.startswith(f"{t}/" if t else "")), None), key) for key in keys]
    return list(dict.fromkeys(key if table is None else table for table, key in inside))


def _tables(key: str) -> str | None:
    """The trace folder that an object is the steps of."""
    *folder, name = key.split("/")
    if name == "steps.parquet":
        return "/".join(folder)
    return "/".join(folder[:-1]) if folder[-1:] == ["steps"] and name.endswith(".parquet") else None


@contextmanager
def sample(url: str, whole: int = SMALL) -> Iterator[tuple[Path, bool]]:
    """A temporary file of the size of the object that holds its head, its end and samples, and whether that is all.

    For a folder of tables an empty folder. Objects of up to `whole` bytes are there as they are.
    """
    meta = _meta(url)
    with tempfile.TemporaryDirectory(prefix="sdtrace-") as folder:
        if meta is None:
            yield Path(folder), True
            return
        size, file = int(meta["size"]), Path(folder) / "object"
        spans = [(0, size)] if size <= whole else _spans(url, meta)
        with file.open("wb") as out:
            out.truncate(size)
            for start, end in spans:
                out.seek(start)
                for piece in _bytes(url, meta, start, end):
                    out.write(piece)
        yield file, size <= whole


def _spans(url: str, meta: Json) -> list[tuple[int, int]]:
    """What a large object is known by. The end of a Parquet file says how long its schema is."""
    size = int(meta["size"])
    end = b"".join(_bytes(url, meta, size - 8, size))
    schema = int.from_bytes(end[:4], "little") + 8 if end.endswith(b"PAR1") else 0
    between = [(size - _SAMPLE) * i // _SAMPLES for i in range(1, _SAMPLES)]
    return [(0, _HEAD), *((n, n + _SAMPLE) for n in between), (max(0, size - max(_HEAD, schema)), size)]


@contextmanager
def copied(url: str) -> Iterator[Path]:
    """The object, or the folder of tables, as a temporary file or folder, removed behind it."""
    meta, (bucket, key) = _meta(url), _place(url)
    with tempfile.TemporaryDirectory(prefix="sdtrace-") as folder:
        if meta is not None:
            _copy(url, meta, Path(folder) / "object")
            yield Path(folder) / "object"
            return
        held = _below(bucket, key)
        if not held:
            raise NoInputError("no such object any more", "it was there when the run began: run again", url)
        for one in held:
            path = str(one["path"])
            _copy(f"{bucket}/{path}", one, Path(folder) / path[len(key) :].strip("/"))
        yield Path(folder)


def _copy(url: str, meta: Json, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        for piece in _bytes(url, meta, 0, int(meta["size"])):
            out.write(piece)


def _bytes(url: str, meta: Json, start: int, end: int) -> Iterator[bytes]:
    """A stretch of an object in pieces, all of one version of it."""
    bucket, key = _place(url)
    for at in range(start, end, PIECE):
        with _asking(url):
            options = {"range": (at, min(at + PIECE, end)), "if_match": meta["e_tag"]}
            yield bytes(_library().get(_store(bucket), key, options=options).bytes())


def renamed(batch: Batch, file: Path, url: str) -> Batch:
    """A batch with the object's address for that of its temporary copy."""
    if not batch.path.startswith(str(file)):
        return batch

    def path(local: str) -> str:
        return url + local.removeprefix(str(file))

    return replace(
        batch,
        path=path(batch.path),
        losses=[replace(x, path=path(x.path)) for x in batch.losses],
        notices=[replace(x, path=path(x.path)) for x in batch.notices],
    )

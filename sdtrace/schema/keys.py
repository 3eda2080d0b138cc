"""A request as one number: the same one in every process, on every machine, with every version of every library.

Tables are joined and samples are chosen by it, and the state of nights keeps it. polars' own hash is another one in
every release; it may only find equal rows here, within one call.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import polars as pl

#: This way of hashing, by a number that is kept with whatever keeps hashes; 0 was polars' own.
HASHING = 1
_REQUEST = ("run_id", "request_id")
#: Rows that are hashed one after the other: sooner done than asking polars for those that differ.
_FEW = 1024
#: Rows that a request has on the average where it hardly comes back: looking for those that do costs more than their digests.
_LONG = 8


def keyed(table: pl.DataFrame) -> pl.DataFrame:
    """Steps or requests with `hash` (UInt64), the number of their request."""
    return table.with_columns(hash=request_hash(table))


def hashes_of(keyed: pl.DataFrame) -> pl.DataFrame:
    """Each `hash` of keyed rows once, in any order; rows of a request stand together, as a rule."""
    hashes = keyed["hash"].to_numpy()
    first = np.ones(len(hashes), dtype=bool)
    first[1:] = hashes[1:] != hashes[:-1]
    return pl.DataFrame({"hash": np.unique(hashes[first])})


def request_hash(table: pl.DataFrame, names: Sequence[str] = _REQUEST) -> pl.Series:
    """BLAKE2b of the named text columns, one number a row; null counts as empty.

    A row costs a comparison, a request a digest: rows of a request stand together or are found by polars' hash.
    """
    ids = table.select(names)
    if ids.height <= _FEW or not ids.height:
        return _row_by_row(ids)
    changes = (
        ids.select(pl.any_horizontal(pl.col(n).ne_missing(pl.col(n).shift()) for n in names)).to_series().to_numpy()
    )
    begin = np.append(0, np.flatnonzero(changes[1:]) + 1)
    if len(begin) * 2 > ids.height:
        return _distinct(ids)
    firsts = ids[begin]
    hashes = _digests(firsts) if len(begin) * _LONG < ids.height else _distinct(firsts)
    return pl.Series("hash", np.repeat(hashes.to_numpy(), np.diff(begin, append=ids.height)))


def _row_by_row(ids: pl.DataFrame) -> pl.Series:
    """Every row by itself, in a fifth of the time where there are 128 of them."""
    known: dict[tuple[str | None, ...], bytes] = {}
    rows = ids.rows()
    for row in rows:
        if row not in known:
            *parts, last = (part.encode() if part else b"" for part in row)
            sized = b"".join(b"%d:%b" % (len(part), part) for part in parts)
            known[row] = blake2b(sized + last, digest_size=8).digest()
    return _numbers(b"".join(known[row] for row in rows))


def _numbers(digests: bytes) -> pl.Series:
    return pl.Series("hash", np.frombuffer(digests, ">u8").astype(np.uint64))


def _distinct(ids: pl.DataFrame) -> pl.Series:
    rows = ids.with_columns(row=pl.struct(ids.columns).hash())
    if rows["row"].n_unique() * 2 > rows.height:
        return _digests(ids)
    once = rows.unique("row", keep="any")
    known = once.select("row").with_columns(_digests(once.select(ids.columns)))
    return rows.select("row").join(known, on="row", how="left", maintain_order="left")["hash"]


def _digests(ids: pl.DataFrame) -> pl.Series:
    return _numbers(b"".join([blake2b(text, digest_size=8).digest() for text in _texts(ids)]))


def _texts(ids: pl.DataFrame) -> list[bytes]:
    """Each row as bytes, the length of all parts but the last before them: no two rows read the same."""
    *parts, last = ids.columns
    sized = [piece for name in parts for piece in (pl.col(name).str.len_bytes().cast(pl.String), pl.lit(":"), name)]
    texts = ids.with_columns(pl.all().fill_null("")).select(text=pl.concat_str(*sized, last).cast(pl.Binary))["text"]
    return texts.to_list()

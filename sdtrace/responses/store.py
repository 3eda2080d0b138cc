"""Sums over responses in a folder, so that a night that comes in parts adds them up."""

from collections import Counter
from pathlib import Path

import orjson
import polars as pl

from sdtrace.responses.seeded import Drafting
from sdtrace.responses.texts import Texts

_FRAMES = ("sums", "greedy", "identity", "seeds")


def save(texts: Texts, folder: Path) -> None:
    """Write them into an existing folder; nothing where there was no response."""
    if not texts.responses:
        return
    for name in _FRAMES:
        frame = getattr(texts, name)
        if frame is not None:
            frame.write_parquet(folder / f"texts-{name}.parquet")
    document = {
        "why": texts.why,
        "responses": texts.responses,
        "tokens": texts.tokens,
        "witnesses": texts.witnesses,
        "raw": [[*group, n] for group, n in texts.basis.raw.items()],
        "shaped": [[*group, n] for group, n in texts.basis.shaped.items()],
        "one_hot": texts.one_hot,
    }
    (folder / "texts.json").write_bytes(orjson.dumps(document))


def load(folder: Path) -> Texts:
    """Read them back; none where none were saved. Raises OSError and errors of polars on what is damaged."""
    if not (folder / "texts.json").exists():
        return Texts()
    document = orjson.loads((folder / "texts.json").read_bytes())
    found = Texts()
    for name in _FRAMES:
        file = folder / f"texts-{name}.parquet"
        if file.exists():
            frame = pl.read_parquet(file)
            setattr(found, name, _today(frame) if name == "seeds" else frame)
    found.why = Counter(document["why"])
    found.responses, found.tokens = document["responses"], document["tokens"]
    found.witnesses, found.one_hot = document["witnesses"], document["one_hot"]
    for name, kept in (("raw", found.basis.raw), ("shaped", found.basis.shaped)):
        kept.update({(engine, model): n for engine, model, n in document[name]})
    return found


def _today(seeds: pl.DataFrame) -> pl.DataFrame:
    """What earlier versions said of a stream in its name stands in columns of its own."""
    if "assumed" in seeds.columns:
        return seeds
    name, plain = pl.col("stream"), ", at temperature 1"
    assumed = pl.coalesce(*(pl.when(name.str.contains(f", {d}", literal=True)).then(pl.lit(str(d))) for d in Drafting))
    apart = seeds.with_columns(assumed=assumed, untempered=name.str.ends_with(plain))
    bare = name.str.strip_suffix(plain)
    for drafting in Drafting:
        bare = bare.str.strip_suffix(f", {drafting}")
    return apart.with_columns(stream=bare)

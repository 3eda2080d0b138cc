"""Places with what their requests say: tags, temperature, prompt length, cache hits - the columns that slices are cut by."""

import orjson
import polars as pl

from sdtrace.schema.keys import request_hash

#: Keys of tags that are looked at, and how many of them.
KEYS = 12
_REQUEST = ["run_id", "request_id"]
#: Tags that name what requests share.
_SESSIONS = ("session", "conversation", "chat", "thread", "user", "tenant_user", "prefix", "dialog", "dialogue")
#: Groups of requests that are alike, at least, and requests in one of them, at the most, to be taken for sessions.
_SMALL = (8, 24)


def attributes(places: pl.DataFrame, requests: pl.DataFrame) -> pl.DataFrame:
    """`places` with string columns `tags.KEY`, `temperature`, `prompt`, `cached` (null where not recorded), and `session`: one
    number for the requests that go together, of which intervals and slices need enough."""
    keys = _keys(requests["tags"])
    told = requests.select(
        *_REQUEST,
        *(pl.col("tags").str.json_path_match(f"$['{key}']").str.slice(0, 60).alias(f"tags.{key}") for key in keys),
        temperature=_temperature(),
        prompt=_prompt(),
        cached=pl.when(pl.col("cached_tokens").is_not_null()).then(
            pl.when(pl.col("cached_tokens") > 0).then(pl.lit("hit")).otherwise(pl.lit("miss"))
        ),
    )
    joined = places.join(told, on=_REQUEST, how="left", maintain_order="left")
    return joined.with_columns(session=sessions(joined, requests))


def sessions(places: pl.DataFrame, requests: pl.DataFrame) -> pl.Series:
    """One number a session for every place: requests of one user or conversation are alike, and count as one.

    A tag that names sessions tells, else requests that agree in every tag and in the length of their prompt, where these
    fall into many small groups. Without either each request is one of its own.
    """
    own = places["hash"]
    keys = _keys(requests["tags"])
    tag = {key: pl.col("tags").str.json_path_match(f"$['{key}']") for key in keys}
    named = [key for key in keys if names_session(key)]
    alike = pl.concat_str(*tag.values(), pl.col("prompt_len"), separator="\0", ignore_nulls=True) if tag else None
    for key, value in ((True, tag[named[0]] if named else None), (False, alike)):
        if value is None:
            continue
        known = requests.select(*_REQUEST, session=value)
        size = known.drop_nulls("session").group_by("session").len()["len"]
        few = size.len() < _SMALL[0] or (size > max(_SMALL[1], requests.height // _SMALL[0])).any()
        if not len(size) or size.len() == requests.height or (not key and (few or size.median() == 1)):
            continue
        mine = places.join(known, on=_REQUEST, how="left", maintain_order="left").select("session")
        shared = request_hash(mine, ["session"])
        return pl.select(pl.when(mine["session"].is_not_null()).then(shared).otherwise(own)).to_series()
    return own


def names_session(key: str) -> bool:
    """Whether a tag of that key names what requests share, and what no other traffic has."""
    return key.lower().replace("-", "_").removesuffix("_id") in _SESSIONS


def levels(joined: pl.DataFrame) -> list[str]:
    """The columns of `attributes` that hold more than one value."""
    names = [name for name in joined.columns if name.startswith("tags.")] + ["temperature", "prompt", "cached"]
    return [name for name in names if joined[name].n_unique() > 1]


def tag_levels(joined: pl.DataFrame) -> list[str]:
    """Those of `levels` that are tags."""
    return [name for name in levels(joined) if name.startswith("tags.")]


def _keys(tags: pl.Series) -> list[str]:
    """Keys of the tags of a thousand requests; others are as good as not there."""
    found: dict[str, int] = {}
    for text in tags.drop_nulls().head(1000).to_list():
        try:
            told = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        for key in told if isinstance(told, dict) else ():
            if key.replace("_", "").replace("-", "").isalnum() and len(key) <= 40:
                found[key] = found.get(key, 0) + 1
    return sorted(found, key=lambda key: (-found[key], key))[:KEYS]


def _temperature() -> pl.Expr:
    t = pl.col("temperature")
    warm = (
        pl.when(t <= 0.5).then(pl.lit("up to 0.5")).when(t <= 1.0).then(pl.lit("0.5 to 1")).otherwise(pl.lit("above 1"))
    )
    return pl.when(t == 0).then(pl.lit("0")).when(t.is_not_null()).then(warm)


def _prompt() -> pl.Expr:
    """Prompt length in powers of 4."""
    power = (pl.col("prompt_len").cast(pl.Float64).clip(1).log(4)).floor()
    low, high = (4**power).cast(pl.Int64, strict=False), (4 ** (power + 1)).cast(pl.Int64, strict=False)
    return pl.when(pl.col("prompt_len").is_not_null()).then(pl.format("{} to {} tokens", low, high))

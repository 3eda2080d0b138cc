"""Places with what their requests say: tags, temperature, prompt length, cache hits - the columns that slices are cut by."""

import orjson
import polars as pl

#: Keys of tags that are looked at, and how many of them.
KEYS = 12
_REQUEST = ["run_id", "request_id"]


def attributes(places: pl.DataFrame, requests: pl.DataFrame) -> pl.DataFrame:
    """`places` with string columns `tags.KEY`, `temperature`, `prompt`, `cached`; null where not recorded."""
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
    return places.join(told, on=_REQUEST, how="left", maintain_order="left")


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

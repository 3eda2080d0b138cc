"""The verifier: a causal language model of Transformers, and what a replay asks of it."""

import importlib.util
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdtrace.errors import MissingExtraError, UsageError

Tensor = Any


class Verifier:
    """A loaded model. `hidden` runs tokens under a mask of our own, `logits` turns chosen rows into float32 logits."""

    def __init__(self, model: Any, name: str) -> None:
        self.model, self.name = model.eval(), name
        self.device, self.dtype = str(model.device), str(model.dtype).removeprefix("torch.")
        self.vocab_size = int(model.get_output_embeddings().weight.shape[0])
        self._plain = _plain_head(model)
        # renamed in transformers 5.24
        self._cache = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"

    def hidden(self, tokens: Tensor, positions: Tensor, mask: Tensor, cache: Any = None) -> Tensor:
        """(B, L, H) last hidden states of (B, L) tokens; `mask` (B, 1, L, cached + L) is true where a row may look."""
        import torch

        inner = self.model.base_model if self._plain else self.model
        kept = {self._cache: cache} if cache is not None else {}
        with torch.inference_mode():
            mask = self._additive(mask)
            return inner(input_ids=tokens, position_ids=positions, attention_mask=mask, use_cache=bool(kept), **kept)[0]

    def logits(self, rows: Tensor) -> Tensor:
        """(m, vocabulary) float32 logits of m rows of `hidden`."""
        import torch

        with torch.inference_mode():
            return (self.model.get_output_embeddings()(rows) if self._plain else rows).float()

    def cache(self) -> Any:
        """An empty key/value cache."""
        from transformers import DynamicCache

        return DynamicCache(config=self.model.config)

    def _additive(self, mask: Tensor) -> Tensor:
        import torch

        zero = torch.zeros((), dtype=self.model.dtype, device=mask.device)
        return torch.where(mask, zero, torch.finfo(self.model.dtype).min)

    @contextmanager
    def weights(self, change: Any) -> Iterator[None]:
        """Every weight matrix replaced by change(name, matrix) for a while; the old ones come back."""
        import torch

        kept = {n: p.data for n, p in self.model.named_parameters() if p.dim() == 2}
        try:
            with torch.no_grad():
                for name, value in self.model.named_parameters():
                    if value.dim() == 2:
                        value.data = change(name, value.data)
            yield
        finally:
            for name, value in self.model.named_parameters():
                if name in kept:
                    value.data = kept[name]

    def close_to(self, dtype: str) -> "Verifier":
        """A copy of the model in another precision."""
        import copy

        import torch

        return Verifier(copy.deepcopy(self.model).to(getattr(torch, dtype)), f"{self.name} in {dtype}")


def _plain_head(model: Any) -> bool:
    """Whether logits are the output embedding of the hidden state and nothing else (no scale, no soft cap)."""
    import torch

    ids = torch.tensor([[1, 2, 3]], device=model.device)
    with torch.inference_mode():
        whole = model(input_ids=ids).logits
        parts = model.get_output_embeddings()(model.base_model(input_ids=ids)[0])
    return bool(torch.equal(whole, parts))


def ready(device: str | None) -> None:
    """Whether a replay can run at all: raises MissingExtraError without the extra, UsageError without the device."""
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(f"a replay needs {package}", "pip install 'sdtrace[replay]'")
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no GPU", "use --device cpu, or install torch for CUDA")


def load(name: str, *, dtype: str | None = None, device: str | None = None) -> Verifier:
    """A local folder, a GGUF file (its weights are de-quantised), or a name on the hub.

    `dtype` is float32, bfloat16 or float16 (default float32), `device` cpu or cuda (default cuda where there is one).
    Raises UsageError where no model is found.
    """
    import torch
    import transformers

    path = Path(name)
    where: dict[str, Any] = {"dtype": getattr(torch, dtype or "float32"), "attn_implementation": "sdpa"}
    source = str(path)
    if path.suffix == ".gguf" and path.is_file():
        source, where["gguf_file"] = str(path.parent), path.name
    transformers.utils.logging.disable_progress_bar()
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(source, trust_remote_code=False, **where)
    except (OSError, ValueError) as error:
        first = str(error).strip().split("\n", 1)[0][:200]
        raise UsageError(
            f"{name}: {first}", "name a folder with config.json and weights, a .gguf file, or a hub model"
        ) from error
    return Verifier(model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")), name)


def special_ids(name: str) -> frozenset[int]:
    """Ids of the special tokens of the model's tokenizer; empty where it has none at hand."""
    import transformers

    path = Path(name)
    extra: dict[str, Any] = {"gguf_file": path.name} if path.suffix == ".gguf" else {}
    try:
        source = str(path.parent if extra else path)
        return frozenset(
            transformers.AutoTokenizer.from_pretrained(source, trust_remote_code=False, **extra).all_special_ids
        )
    except (OSError, ValueError, ImportError, KeyError):
        return frozenset()

"""Weights as a quantised checkpoint would have them: rounded to a block format of GGUF and back."""

from typing import Any


def rounded(kind: str) -> Any:
    """A change for `Verifier.weights`: every matrix whose rows fit the format's blocks, to `kind` (Q8_0, Q4_0) and back."""
    import gguf
    import torch

    form = gguf.GGMLQuantizationType[kind]
    block, _ = gguf.GGML_QUANT_SIZES[form]

    def change(name: str, matrix: Any) -> Any:
        if matrix.shape[-1] % block or "norm" in name:
            return matrix
        values = matrix.float().cpu().numpy()
        back = gguf.quants.dequantize(gguf.quants.quantize(values, form), form)
        return torch.from_numpy(back.reshape(values.shape)).to(matrix.dtype).to(matrix.device)

    return change

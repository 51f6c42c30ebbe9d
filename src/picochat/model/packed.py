"""Matrices in the form in which a few rows are multiplied with them fastest.

A CPU multiplies one to sixteen rows at the speed of memory, if the matrix lies in the blocks of oneDNN: the plain
product of torch reached a third of that. The packed form is a second copy of the values.

Suffixes: B rows, I input features, O output features.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

PACK_ROWS = 8
"""Rows that the packed form is made for; measured, it is the best for one as well."""
PACKED_DTYPES = (torch.float32, torch.bfloat16)


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether this build of torch has packed products for matrices of this kind."""
    if device.type != "cpu" or dtype not in PACKED_DTYPES or not torch.backends.mkldnn.is_available():
        return False
    return dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported()


class Matrix:
    """An (O, I) weight. Packed, it keeps no reference to the tensor it was made from."""

    def __init__(self, weight_OI: Tensor, packed: bool) -> None:
        self.packed = packed
        self.weight = (
            torch.ops.mkldnn._reorder_linear_weight(weight_OI.contiguous(), PACK_ROWS) if packed else weight_OI
        )

    def __call__(self, x_BI: Tensor) -> Tensor:
        """`x @ weight.T`, (B, O)."""
        if not self.packed:
            return F.linear(x_BI, self.weight)
        return torch.ops.mkldnn._linear_pointwise(x_BI, self.weight, None, "none", [], "")

    def add_to(self, residual_BO: Tensor, x_BI: Tensor) -> Tensor:
        """`residual + x @ weight.T`, (B, O)."""
        if not self.packed:
            return torch.addmm(residual_BO, x_BI, self.weight.t())
        return torch.ops.mkldnn._linear_pointwise(x_BI, residual_BO, self.weight, None, "add")

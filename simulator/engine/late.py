"""The loops that draw, loaded when first asked for, and numba with them: what needs no draws starts without it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import kernels as kernels
else:

    class _Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(import_module(".kernels", __package__), name)

    kernels = _Late()

"""Libraries that come with an extra of the package."""

from importlib import import_module
from typing import Any

from ..errors import SimulatorError


def needed(library: str, asked: str, extra: str = "report") -> Any:
    """A library, or one sentence on how to install it."""
    try:
        return import_module(library)
    except ImportError:
        mend = f'pip install "capitation-risk[{extra}]"'
        raise SimulatorError(asked, None, f"needs {library}, which is not installed", mend) from None

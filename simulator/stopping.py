"""How a command is stopped: by Ctrl-C, or by the signal that ends a job (SIGTERM), which is heeded in the same way."""

from __future__ import annotations

import signal
from typing import Any

_BY_HAND, _BY_SIGNAL = 130, 143
_code = _BY_HAND


def heed_termination() -> None:
    """From now on SIGTERM stops a command as Ctrl-C does: what is finished is kept, and nothing is half-written."""
    signal.signal(signal.SIGTERM, _stop)


def _stop(_number: int, _frame: Any) -> None:
    global _code  # noqa: PLW0603 - a signal finds nothing else
    _code = _BY_SIGNAL
    raise KeyboardInterrupt


def exit_code() -> int:
    """The exit code that shells give a command that was stopped so: 130 by hand, 143 by the signal."""
    return _code

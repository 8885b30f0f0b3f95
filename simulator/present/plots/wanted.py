"""Which Dataset does a picture need? Told in one sentence where it is given another."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

import xarray as xr
from matplotlib.axes import Axes

from ...base import SimulatorError

Options = ParamSpec("Options")
Picture = Callable[Concatenate[xr.Dataset, Options], Axes]


def made_by(maker: str, needed: str) -> Callable[[Picture[Options]], Picture[Options]]:
    """A picture that refuses a Dataset without the figure `needed`, and names the function that makes one."""

    def checked(draw: Picture[Options]) -> Picture[Options]:
        @wraps(draw)
        def drawn(shown: xr.Dataset, /, *args: Options.args, **kwargs: Options.kwargs) -> Axes:
            if not isinstance(shown, xr.Dataset) or needed not in shown:
                raise SimulatorError(draw.__name__, None, f"is given no {needed}", f"give what `{maker}` gave")
            return draw(shown, *args, **kwargs)

        return drawn

    return checked

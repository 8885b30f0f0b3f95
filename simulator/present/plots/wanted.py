"""Checks the input Dataset of a plot; another kind gets one sentence."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np
import xarray as xr

from ...errors import SimulatorError
from ...ledger.swept import points_of
from .style import house_style

Options = ParamSpec("Options")
Drawn = TypeVar("Drawn")
Picture = Callable[Concatenate[xr.Dataset, Options], Drawn]

_LISTED = "select with a list, such as .isel({}=[0])"


def made_by(
    maker: str, needed: str, along: str = "", curve: str = ""
) -> Callable[[Picture[Options, Drawn]], Picture[Options, Drawn]]:
    """A picture in the house's style, which refuses a Dataset it cannot be drawn from and says why in one sentence."""

    def checked(draw: Picture[Options, Drawn]) -> Picture[Options, Drawn]:
        name = draw.__name__

        @wraps(draw)
        def drawn(shown: xr.Dataset, /, *args: Options.args, **kwargs: Options.kwargs) -> Drawn:
            if not isinstance(shown, xr.Dataset) or needed not in shown:
                raise SimulatorError(name, None, f"is given no {needed}", f"give what `{maker}` gave")
            (said, shown), *others = points_of(shown)
            if others:
                mend = f"select one, such as that of {said}"
                raise SimulatorError(name, None, "is given many answers of a sweep", mend)
            for dim in (*along.split(), *curve.split()):
                _check_dim(name, shown, dim, 2 if dim in curve.split() else 1)
            _check_known(name, shown, draw.__globals__["DRAWN"])
            try:
                with house_style():
                    return draw(shown, *args, **kwargs)
            except SimulatorError:
                raise
            except (IndexError, KeyError, ValueError) as error:  # whatever else a selection has left out
                bound, mend = "is given a part that it cannot be drawn from", f"give all of what `{maker}` gave"
                raise SimulatorError(name, None, bound, mend) from error

        return drawn

    return checked


def _check_dim(name: str, shown: xr.Dataset, dim: str, least: int) -> None:
    """Refuse a dim that was selected away, is empty, or is too short for a line."""
    if dim not in shown.dims:
        if dim in shown.coords:
            raise SimulatorError(name, None, f"is given a single {dim} without its dim", _LISTED.format(dim))
        return
    if shown.sizes[dim] < least:
        has = f"one {dim}, and draws a line along several" if shown.sizes[dim] else f"no {dim}"
        raise SimulatorError(name, None, f"is given {has}", f"select {'two' if least > 1 else 'one'} or more")


def _check_known(name: str, shown: xr.Dataset, figures: tuple[str, ...]) -> None:
    """Refuse figures none of which is known."""
    known = [one for one in figures if one in shown and not one.endswith(("_se", "_interval"))]
    numbers = [shown[one].values for one in known if shown[one].dtype.kind == "f"]
    if numbers and all(np.isnan(one).all() for one in numbers):
        raise SimulatorError(name, None, "is given figures of which none is known", "draw more, or choose another part")

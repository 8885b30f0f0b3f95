"""A picture as the shell knows it: from which files it can be made, and the Dataset that it draws."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import SimulatorError
from .plot_request import PlotRequest as PlotRequest
from .tidy import tidy

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes

RUN = "run --out"
EITHER = "run --out; run --exact --out"
SCENARIO = f"{EITHER}; settle --out"
DESIGNS = "run --out, of a scenario with designs"
"""From which files pictures can be made."""


@dataclass(frozen=True)
class Picture:
    """One picture: what it needs of a file, and the Dataset that it draws."""

    drawn_by: Callable[..., Any]
    """The public function; its file's docstring begins with the question, and its `DRAWN` names what it draws."""
    files: str
    """From which files it can be made."""
    make: Callable[[PlotRequest], xr.Dataset]
    needs: Callable[[PlotRequest], object]
    """Reads what the file must have: each part refuses, in one sentence and at once, a file that lacks it."""
    heeds: tuple[str, ...] = ()
    """Which of members, threshold, margin, at_most, design and actuals its Dataset is made with."""
    options: tuple[str, ...] = ()
    """Which of these the function is told besides the Dataset, where they were given."""

    @property
    def takes(self) -> tuple[str, ...]:
        """Which of these do anything."""
        return (*self.heeds, *self.options)

    @property
    def name(self) -> str:
        """As the shell names it."""
        return self.drawn_by.__name__.replace("_", "-")

    @property
    def question(self) -> str:
        """The question that the picture answers."""
        return question_of(self.drawn_by)

    def lacks(self, one: PlotRequest) -> SimulatorError | None:
        """The first unmet requirement, in a sentence; None if the file has everything."""
        try:
            self.needs(one)
        except SimulatorError as refused:
            return refused
        return None

    def draw(self, shown: xr.Dataset, one: PlotRequest) -> Axes:
        """The picture."""
        given = {name: getattr(one, name) for name in self.options}
        drawn = self.drawn_by(shown, **{name: value for name, value in given.items() if value is not None})
        axes: Axes = drawn[0] if isinstance(drawn, list) else drawn
        return axes

    def figures(self, shown: xr.Dataset) -> pd.DataFrame:
        """The numbers of the picture in long form, a row each, with unit and error."""
        names = sys.modules[self.drawn_by.__module__].DRAWN
        return tidy(shown[[name for name in names if name in shown]])


def question_of(drawn_by: Callable[..., Any]) -> str:
    """The question that a picture answers, with which the docstring of its file begins."""
    return f"{(sys.modules[drawn_by.__module__].__doc__ or '').partition('?')[0]}?"

"""Every family, by its name in a scenario file: a new one is a class of its own and its name here."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import Discriminator, Field, Tag

from .base import Severity
from .composite import Component, Empirical, Mixture, ParetoTail, Spliced
from .heavy_tails import Burr, GeneralizedBeta2, GeneralizedGamma, GeneralizedPareto, Lomax, Pareto
from .two_figures import Gamma, Lognormal, Weibull


def _tail_kind(raw: Any) -> str | None:
    family = raw.get("family") if isinstance(raw, dict) else getattr(raw, "family", None)
    given = raw if isinstance(raw, dict) else getattr(raw, "__dict__", {})
    if family == "pareto" and all(given.get(name) is None for name in ("mean", "cv", "scale")):
        return "pareto_tail"
    return family


_Family = (
    Annotated[Lognormal, Tag("lognormal")]
    | Annotated[Gamma, Tag("gamma")]
    | Annotated[Weibull, Tag("weibull")]
    | Annotated[Pareto, Tag("pareto")]
    | Annotated[Lomax, Tag("lomax")]
    | Annotated[GeneralizedPareto, Tag("gpd")]
    | Annotated[Burr, Tag("burr")]
    | Annotated[GeneralizedGamma, Tag("gengamma")]
    | Annotated[GeneralizedBeta2, Tag("gb2")]
    | Annotated[Spliced, Tag("spliced")]
    | Annotated[Mixture, Tag("mixture")]
    | Annotated[Empirical, Tag("empirical")]
)
AnySeverity = Annotated[_Family, Field(discriminator="family")]
TailSeverity = Annotated[
    _Family | Annotated[ParetoTail, Tag("pareto_tail")],
    Discriminator(
        _tail_kind,
        custom_error_type="mistake",
        custom_error_message="{bound}",
        custom_error_context={
            "bound": "does not name a family that exists",
            "mend": 'give family = "pareto", "lomax", "gpd" …',
        },
    ),
]

_LATE = {"AnySeverity": AnySeverity, "TailSeverity": TailSeverity}
for _model in (Spliced, Component, Mixture):
    _model.model_rebuild(_types_namespace=_LATE)

FAMILIES: dict[str, type[Severity]] = {get_args(one)[1].tag: get_args(one)[0] for one in get_args(_Family)}
"""Every family by its name in a scenario file."""

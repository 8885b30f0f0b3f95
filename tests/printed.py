"""A printed figure read back, apart from the code that prints it: is it this value, with this error?"""

from __future__ import annotations

import math
import re

UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "bn": 1e9, "%": 0.01}
NUMBER = r"([+−]?)(?:[£$€]|[A-Z]{3} )?(\d[\d,]*(?:\.\d+)?)(k|m|bn|%)?"
UNKNOWN = "not available"
_WORDS = " (same in every simulated year)", " (no simulation error)"


def number(text: str, unit: str = "") -> tuple[float, float, float]:
    """A printed number, and the units of its last digit: the finest, and where it ends in noughts the coarsest."""
    sign, digits, own = re.fullmatch(NUMBER, text).groups()
    scale = UNITS[own or unit]
    digits = digits.replace(",", "")
    finest = 10.0 ** -len(digits.partition(".")[2])
    noughts = 0 if "." in digits else len(digits) - len(digits.rstrip("0"))
    return float(digits) * scale * (-1 if sign == "−" else 1), finest * scale, finest * 10**noughts * scale


def agrees(
    text: str, value: float, error: float | None, interval: tuple[float, float] | None = None, least: float = 0.0
) -> bool:
    """Whether a printed figure is this value to its digits, and these are what its error supports.

    `error` is None of an exact figure; `interval` is one of its own, where it is not the value ± 1.96 errors;
    `least` is the smallest unit of a last digit where a table is set to so many decimals.
    """
    if text == UNKNOWN:
        return not (math.isfinite(value) and (error is None or math.isfinite(error)))
    if bound := re.fullmatch(r"(below|above) ([\d.]+%)", text):
        return _bounds(bound[1] == "below", number(bound[2]), value, error, interval)
    text = next((text.removesuffix(word) for word in _WORDS if text.endswith(word)), text)
    if " ± " in text:
        return error is not None and _with_error(*text.split(" ± "), value, error)
    parts = re.fullmatch(rf"({NUMBER})(?: \(({NUMBER}) to ({NUMBER})\))?", text)
    if parts is None:
        return False
    lead, low, high = parts[1], parts[5], parts[9]
    told, finest, coarsest = number(lead)
    if low is not None:
        ends = _ends(value, error, interval)
        letter = high[-1] if high[-1] == "%" else ""
        shown = (number(low, letter), number(high))
        return _near(told, value, finest) and all(
            _near(a, b, step) for (a, step, _), b in zip(shown, ends, strict=True)
        )
    if error is None:
        is_short = not lead.endswith("%") and abs(told - value) <= 5.1e-3 * abs(value)  # money of three figures
        return _near(told, value, coarsest if is_short else finest)
    if error <= 1e-9 * max(abs(value), 1.0):  # of draws that are all alike, four figures or more
        return abs(told - value) <= 5.1e-4 * abs(value) + 1e-6 * (lead[-1] != "%") + 1e-9
    unit = 10.0 ** math.ceil(math.log10(error) - 1e-9)  # the digits that the error supports, and all of them
    is_wide = 2 * 1.96 * error > 0.1001 * abs(value)
    return (
        not is_wide
        and finest <= max(unit, least) * 1.001
        and unit <= coarsest * 1.001
        and _near(told, value, max(unit, finest))
    )


def _near(told: float, value: float, step: float) -> bool:
    return abs(told - value) <= 0.5001 * step + 1e-12


def _ends(value: float, error: float | None, interval: tuple[float, float] | None) -> tuple[float, float]:
    if interval is not None and math.isfinite(sum(interval)):
        return interval
    return value - 1.959964 * (error or 0.0), value + 1.959964 * (error or 0.0)


def _bounds(
    below: bool, bound: tuple[float, float, float], value: float, error: float | None, interval: tuple | None
) -> bool:
    told, finest, _ = bound
    if (error == 0.0 and interval is None) or error is None:  # an exact share that its digits round away
        return 0 < value < told if below else told < value < 1
    end = _ends(value, error, interval)[1 if below else 0]
    return value == (0.0 if below else 1.0) and abs(told - end) <= max(0.5001 * finest, 0.05 * abs(end))


def _with_error(lead: str, beside: str, value: float, error: float) -> bool:
    told, finest, _ = number(lead)
    unit = "%" if lead.endswith("%") else ""
    if beside.startswith("< "):
        last = number(beside[2:], unit)[0]
        return _near(told, value, finest) and 0 < error <= 0.5001 * last
    shown, step, _ = number(beside, unit)
    return _near(told, value, step if told == 0 else finest) and _near(shown, error, step)

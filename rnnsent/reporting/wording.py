"""Numbers in words."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

SPACE = "\u00a0"  # does not break


def percent(share: float, digits: int = 1) -> str:
    """Return a share in percent, with a decimal."""
    return f"{share * 100:.{digits}f}{SPACE}%"


def whole(share: float) -> str:
    """Return a share in percent, without decimals where it has none."""
    return f"{share * 100:g}{SPACE}%"


def sure(probability: float) -> str:
    """Return a probability in percent, which is never a whole 100."""
    return f"over 99.9{SPACE}%" if probability > 0.999 else percent(probability)


def figure(value: float) -> str:
    """Return a metric with four decimals and a real minus."""
    return f"{value:.4f}".replace("-", "−")


def interval(estimate: Mapping[str, Any], form: str | None = None) -> str:
    """Return an estimate with its interval: "93.2 % [92.9, 93.5]"; shares in percent unless `form` says otherwise."""
    if estimate["value"] is None:
        return "not defined"
    if form is None:
        low, high = (f"{estimate[key] * 100:.1f}" for key in ("low", "high"))
        return f"{percent(estimate['value'])} [{low},{SPACE}{high}]"
    value, low, high = (form.format(estimate[key]).replace("-", "−") for key in ("value", "low", "high"))
    return f"{value} [{low},{SPACE}{high}]"


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return how far a proportion is above another, with a 95 % interval, from the intervals of both.

    It takes them for independent. Of two classifiers on the same reviews, which mostly err on the same ones, the true
    interval is narrower; that one needs both predictions. Source: R. Newcombe, "Interval estimation for the difference
    between independent proportions", Statistics in Medicine 17, 1998, method 10.
    """
    apart = one["value"] - other["value"]
    down = sqrt((one["value"] - one["low"]) ** 2 + (other["high"] - other["value"]) ** 2)
    up = sqrt((one["high"] - one["value"]) ** 2 + (other["value"] - other["low"]) ** 2)
    return apart, apart - down, apart + up


def points(share: float, digits: int = 1) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return f"{share * 100:+.{digits}f}".replace("-", "−")


def size(number: int) -> str:
    """Return bytes as kB or MB, of 10³ and 10⁶."""
    return f"{number / 1e6:,.1f}{SPACE}MB" if number >= 1e5 else f"{number / 1e3:,.1f}{SPACE}kB"


def duration(seconds: float) -> str:
    """Return seconds, or minutes where they are many."""
    return f"{seconds:,.0f}{SPACE}s" if seconds < 120 else f"{seconds / 60:,.1f}{SPACE}min"

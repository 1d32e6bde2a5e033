"""How long prompts and answers are: one number, or numbers drawn from a distribution."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pilotlight.errors import BenchError

EXPECTED = (
    "a number, 16..256, uniform(16,256), normal(512,128), lognormal(512,0.8) (its median and "
    "the deviation of the logarithm) or file(lengths.txt)"
)


@dataclass(frozen=True, slots=True)
class Length:
    """In tokens; never under 1. `text` is how it was asked for."""

    text: str
    draw: Callable[[Random], int]


def parse_length(raw: object) -> Length:
    """Raises ValueError: it is none of EXPECTED. BenchError: the file of lengths is wrong."""
    text = str(raw).strip()
    if isinstance(raw, bool) or raw is None:
        raise ValueError
    if text.isdecimal():
        return _fixed(text, int(text))
    if match := re.fullmatch(r"(\d+)\.\.(\d+)", text):
        return _uniform(text, float(match[1]), float(match[2]))
    if match := re.fullmatch(r"([a-z]+)\((.*)\)", text):
        return _drawn(text, match[1], match[2])
    raise ValueError


def _drawn(text: str, name: str, inside: str) -> Length:
    if name == "file":
        return _empirical(text, Path(inside.strip()))
    first, second = (float(part) for part in inside.split(","))
    if not (math.isfinite(first) and math.isfinite(second)):
        raise ValueError
    if name not in _SHAPES:
        raise ValueError
    return _SHAPES[name](text, first, second)


def _fixed(text: str, tokens: int) -> Length:
    if tokens < 1:
        raise ValueError
    return Length(text, lambda random: tokens)


def _uniform(text: str, low: float, high: float) -> Length:
    least, most = int(low), int(high)
    if not 1 <= least <= most:
        raise ValueError
    return Length(text, lambda random: random.randint(least, most))


def _normal(text: str, mean: float, deviation: float) -> Length:
    if mean < 1 or deviation < 0:
        raise ValueError
    return Length(text, lambda random: max(1, round(random.gauss(mean, deviation))))


def _lognormal(text: str, median: float, sigma: float) -> Length:
    if median < 1 or not 0 <= sigma <= 5:
        raise ValueError
    mu = math.log(median)
    return Length(text, lambda random: max(1, round(random.lognormvariate(mu, sigma))))


_SHAPES: Mapping[str, Callable[[str, float, float], Length]] = {
    "uniform": _uniform, "normal": _normal, "lognormal": _lognormal,
}  # fmt: skip


def _empirical(text: str, path: Path) -> Length:
    try:
        found = tuple(int(word) for word in path.expanduser().read_text().split())
    except OSError as error:
        raise BenchError(
            f"can't read the lengths in {str(path)!r}: {error.strerror}",
            hint="give a file with one number of tokens a line",
        ) from None
    except ValueError as error:
        raise BenchError(
            f"{str(path)!r} is no file of lengths: {error}",
            hint="give a file with one number of tokens a line",
        ) from None
    if not found or min(found) < 1:
        raise BenchError(
            f"{str(path)!r} has {'a length below 1' if found else 'no length'}",
            hint="give a file with one number of tokens a line",
        )
    return Length(text, lambda random: random.choice(found))

"""A function's value from its Laplace transform, where only the transform has a closed form."""

from __future__ import annotations

import math

# Euler's summation of a Fourier series: J. Abate, W. Whitt, "A Unified Framework for Numerically
# Inverting Laplace Transforms", INFORMS Journal on Computing 18 (2006), section 5. The error of
# 2M+1 nodes is about 10^(-0.6 M) for smooth functions; doubles carry M up to about 15.
_M = 7


def _weights() -> tuple[float, ...]:
    tail = [1.0] * (_M + 1) + [0.0] * _M
    tail[0] = 0.5
    tail[2 * _M] = 2.0**-_M
    for k in range(1, _M):
        tail[2 * _M - k] = tail[2 * _M - k + 1] + 2.0**-_M * math.comb(_M, k)
    scale = 10 ** (_M / 3)
    return tuple((-1) ** k * scale * weight for k, weight in enumerate(tail))


_WEIGHTS = _weights()
_NODES = tuple(complex(_M * math.log(10) / 3, math.pi * k) for k in range(2 * _M + 1))


def inversion(at: float) -> tuple[tuple[complex, float], ...]:
    """Where a transform F has to be known for its function's value at `at` > 0, and its weight.

    That value is the sum of weight·Re F(point).
    """
    return tuple((node / at, weight / at) for node, weight in zip(_NODES, _WEIGHTS, strict=True))

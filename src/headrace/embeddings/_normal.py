"""`normal(seed, size)`: normally distributed numbers, the same in every process and Python.

They are numpy's `default_rng(seed).normal(size=size)`, but for rounding, and made without numpy: a
fake embedding has the vectors that tests written for LangChain's know. A seed is spread over the
state of PCG64, which gives 64 bits at a time, and the ziggurat makes a number of these, mostly of
one draw.

Source: M. O'Neill, "PCG" (HMC-CS-2014-0905) and "Developing a seed_seq Alternative"; G. Marsaglia
and W. W. Tsang, "The Ziggurat Method for Generating Random Variables" (Journal of Statistical
Software 5, 2000); which bits serve for what, and the constants: numpy.random.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import exp, log, log1p, sqrt

__all__ = ["normal"]

_32, _64, _128 = (1 << 32) - 1, (1 << 64) - 1, (1 << 128) - 1
_STEP = 0x2360ED051FC65DA44385DF649FCCF645

_LAYERS = 256  # of the ziggurat
_END = 3.6541528853610088  # of the lowest layer, where the tail begins
_AREA = 0.004928673233974655  # of each layer; that of the lowest has the tail in it
_FINE = 1 << 52  # steps across a layer


def normal(seed: int, size: int) -> list[float]:
    """So many numbers, of mean 0 and variance 1.

    Args:
        seed: a whole number from 0 to 2**32 - 1.
        size: how many.
    """
    bits = _pcg64(_spread(seed))
    return [_one(bits) for _ in range(size)]


# ---- bits ----------------------------------------------------------------------------------------


class _Hash:
    """Of 32 bits, another one at each call."""

    def __init__(self, key: int, factor: int) -> None:
        self._key, self._factor = key, factor

    def __call__(self, word: int) -> int:
        word ^= self._key
        self._key = self._key * self._factor & _32
        word = word * self._key & _32
        return word ^ word >> 16


def _spread(seed: int) -> list[int]:
    """Four words of 64 bits."""
    hashed = _Hash(0x43B0D7E5, 0x931E8875)
    pool = [hashed(word) for word in (seed, 0, 0, 0)]
    for source in range(4):
        for target in range(4):
            if source != target:
                mixed = pool[target] * 0xCA01F9DD - hashed(pool[source]) * 0x4973F715 & _32
                pool[target] = mixed ^ mixed >> 16
    hashed = _Hash(0x8B51F9DD, 0x58F38DED)
    halves = [hashed(word) for word in pool * 2]
    return [low | high << 32 for low, high in zip(halves[::2], halves[1::2], strict=True)]


def _pcg64(words: list[int]) -> Callable[[], int]:
    """The generator (XSL-RR 128/64): 64 bits at each call."""
    begin, stream = words[0] << 64 | words[1], words[2] << 64 | words[3]
    odd = (stream << 1 | 1) & _128
    state = ((odd + begin) * _STEP + odd) & _128

    def bits() -> int:
        nonlocal state
        state = (state * _STEP + odd) & _128
        folded, turn = (state >> 64 ^ state) & _64, state >> 122
        return (folded >> turn | folded << (64 - turn)) & _64

    return bits


def _uniform(bits: Callable[[], int]) -> float:
    """From 0, below 1."""
    return (bits() >> 11) * 2.0**-53


# ---- the ziggurat --------------------------------------------------------------------------------


def _one(bits: Callable[[], int]) -> float:
    inside, widths, heights = _layers()
    while True:
        drawn = bits()
        layer, negative, step = drawn & 0xFF, drawn >> 8 & 1, drawn >> 9 & _FINE - 1
        x = -step * widths[layer] if negative else step * widths[layer]
        if step < inside[layer]:
            return x
        if layer == 0:
            beyond = _beyond(bits)
            return -beyond if step >> 8 & 1 else beyond
        height = heights[layer] + (heights[layer - 1] - heights[layer]) * _uniform(bits)
        if height < _curve(x):
            return x


def _beyond(bits: Callable[[], int]) -> float:
    """A number of the tail, by exponential ones."""
    while True:
        further, rejected = -log1p(-_uniform(bits)) / _END, -log1p(-_uniform(bits))
        if 2 * rejected > further * further:
            return _END + further


@cache
def _layers() -> tuple[list[int], list[float], list[float]]:
    """Of each layer: below how many steps all is under the curve, how wide a step is, and how high
    the curve is at its end."""
    ends = [_END]
    for _ in range(_LAYERS - 2):
        ends.insert(0, sqrt(-2 * log(_AREA / ends[0] + _curve(ends[0]))))
    heights = [1.0, *map(_curve, ends)]
    wide = [_AREA / heights[-1], *ends]  # the lowest as a rectangle, with the tail's area in it
    clear = [_END, 0.0, *ends]
    inside = [int(low / end * _FINE) for low, end in zip(clear, wide, strict=False)]
    return inside, [end / _FINE for end in wide], heights


def _curve(x: float) -> float:
    return exp(-x * x / 2)

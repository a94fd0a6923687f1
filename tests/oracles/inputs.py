"""The tensors that monoquant and its peers are compared on.

Each kind aims at one way to be wrong: rounding, ranges, zero points, scales
that vanish.
"""

import numpy as np
import torch

# Odd rows, several dimensions.
SHAPES = [(6, 131), (4, 256), (5, 3, 7, 3), (3, 2, 64), (130, 4)]
# Rows of whole groups of 128.
GROUPED_SHAPES = [(6, 128), (3, 384), (5, 4, 32, 2), (2, 3, 128)]

# The smallest positive normal float32.
TINY = 2.0**-126


def _random(rng, shape):
    return rng.standard_normal(shape) * 0.05


def _uniform(rng, shape):
    return rng.uniform(-3.0, 1.0, shape)


def _mixed_sign(rng, shape):
    return rng.standard_normal(shape) * np.exp(rng.uniform(-12, 6, shape))


def _positive(rng, shape):
    return rng.uniform(0.1, 7.0, shape)


def _negative(rng, shape):
    return rng.uniform(-0.3, -0.1, shape)


def _flat(value):
    return lambda rng, shape: np.full(shape, value)


def _plateau(rng, shape):
    return rng.choice([-0.75, -0.25, 0.1, 0.5], shape)


def _ramp(rng, shape):
    return np.linspace(-1.0, 1.7, int(np.prod(shape))).reshape(shape)


def _outlier(rng, shape):
    x = rng.standard_normal(shape) * 0.01
    x.flat[x.size // 3] = -40.0
    x.flat[x.size // 2] = 1000.0
    return x


def _subnormal(rng, shape):
    return rng.integers(-(2**22), 2**22, shape) * 2.0**-149


def _least_subnormal(rng, shape):
    return rng.integers(-1, 2, shape) * 2.0**-149


def _around_normal(rng, shape):
    return rng.standard_normal(shape) * TINY


def _large(rng, shape):
    """Up to the size where max - min still is a float32."""
    return rng.uniform(-1.0, 1.0, shape) * 1.6e38


def _overflowing(rng, shape):
    """Finite, but max - min is not."""
    x = rng.uniform(-1.0, 1.0, shape) * 3.3e38
    x[0], x[-1] = -3.3e38, 3.3e38
    return x


def _negative_zero(rng, shape):
    return np.where(rng.integers(0, 2, shape) == 0, -0.0, 0.0)


def _rows_differ(rng, shape):
    """Another scale, sign and offset in every row; some rows are all zero."""
    x = rng.standard_normal(shape)
    for i in range(shape[0]):
        x[i] = x[i] * 10.0 ** (i % 7 - 4) + (i % 3 - 1) * (i % 2)
    x[shape[0] // 2] = 0.0
    return x


def _ties(step, low, high):
    """Half-way points between codes, where the range gives exactly `step`.

    Every row, and in it every group of 32, reaches from low to high, counted
    in steps.
    """

    def make(rng, shape):
        x = rng.integers(int(low), int(high), shape) + 0.5
        for row in x.reshape(shape[0], -1):
            row[::32] = low
            row[31::32] = row[-1] = high
        return x * step

    return make


def _near_ties(rng, shape):
    """Half-way points of a scale that is not exact, and their neighbours."""
    x = ((rng.integers(-120, 120, shape) + 0.5) * 0.0123).astype(np.float32)
    up = np.nextafter(x, np.float32(np.inf))
    down = np.nextafter(x, np.float32(-np.inf))
    return np.choose(rng.integers(0, 3, shape), [x, up, down])


KINDS = {
    "random": _random,
    "uniform": _uniform,
    "mixed_sign": _mixed_sign,
    "positive": _positive,
    "negative": _negative,
    "flat_positive": _flat(0.37),
    "flat_negative": _flat(-123.456),
    "all_zero": _flat(0.0),
    "overflowing": _overflowing,
    "negative_zero": _negative_zero,
    "plateau": _plateau,
    "ramp": _ramp,
    "outlier": _outlier,
    "subnormal": _subnormal,
    "least_subnormal": _least_subnormal,
    "around_normal": _around_normal,
    "large": _large,
    "rows_differ": _rows_differ,
    # Ranges of 255 and 15 steps: asymmetric scales are exact.
    "ties_asymmetric8": _ties(2.0**-6, -100, 155),
    "ties_asymmetric4": _ties(0.5, -4, 11),
    # Up to 127.5 and 7.5 steps: symmetric scales are exact.
    "ties_symmetric8": _ties(2.0**-9, -127, 127.5),
    "ties_symmetric4": _ties(2.0**-3, -7.5, 7),
    # Scales that are not exact.
    "ties_rounded8": _ties(0.3, -100, 155),
    "ties_rounded4": _ties(0.7, -3, 12),
    "near_ties": _near_ties,
}


def synthetic(shapes):
    """Returns {"KIND.SHAPE": float32 array} for every kind and shape."""
    tensors = {}
    for kind, make in KINDS.items():
        for shape in shapes:
            name = "%s.%s" % (kind, "x".join(map(str, shape)))
            # A seed of its own, so that a new kind leaves the others alone.
            rng = np.random.default_rng(list(name.encode()))
            tensors[name] = make(rng, shape).astype(np.float32)
    return tensors


def as_dtype(tensors, dtype):
    """Arrays as tensors of `dtype`, without those that overflow there."""
    converted = {
        name: torch.from_numpy(x).to(dtype) for name, x in tensors.items()
    }
    return {name: x for name, x in converted.items() if x.isfinite().all()}


def without_overflow(tensors):
    """Those tensors whose max - min is a float32.

    torch and compressed-tensors have no use for the others where the scheme is
    asymmetric: their scale becomes infinite, and the codes mean nothing.
    monoquant computes that one scale in double.
    """
    return {name: x for name, x in tensors.items()
            if not name.startswith("overflowing.")}


def with_rows_of(tensors, group_size):
    """Those tensors whose rows are whole groups of `group_size` elements."""
    return {
        name: x
        for name, x in tensors.items()
        if x[0].numel() % group_size == 0
    }

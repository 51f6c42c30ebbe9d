"""L = E + A / N^a + B / D^b, fitted to losses by variable projection.

For fixed exponents the law is linear in E, A and B, none of which can be negative: a least-squares problem of three
unknowns that has one answer (Golub and Pereyra 1973). What is left is a search over two exponents, on a grid that is
laid once more, finer, around its best cell. No start, no step size, no seed: the same points give the same law.

N parameters, D tokens, L loss in any unit (bits a byte here). The form is that of Hoffmann et al. 2022, section 3.3.
Suffixes: G cells of the grid, P points, K columns.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
EXPONENTS = (0.05, 1.5)
COARSE_STEP = 0.05
FINE_STEP = 0.005
"""So coarse that the last bit of another machine's arithmetic never moves the best cell."""
HUBER_DELTA = 1e-3
"""Of residuals of the logarithm, as in Hoffmann et al. 2022: what is farther off than 0.1 % counts linearly."""
HUBER_ROUNDS = 12
LEAST_DETERMINANT = 1e-12
"""Of the cosines between columns: under it they cannot be told apart."""
_SUBSETS = [subset for size in (1, 2, 3) for subset in itertools.combinations(range(3), size)]


class Point(NamedTuple):
    """What one training came to."""

    parameters: float
    tokens: float
    loss: float


class Law(NamedTuple):
    """The five numbers; `residual` is the root mean square of the relative residuals."""

    floor: float
    """E: what no size and no amount of text gets below."""
    size_scale: float
    """A."""
    data_scale: float
    """B."""
    size_exponent: float
    """a."""
    data_exponent: float
    """b."""
    residual: float

    def at(self, parameters: float, tokens: float) -> float:
        """The loss that the law gives."""
        return (
            self.floor
            + self.size_scale * parameters**-self.size_exponent
            + self.data_scale * tokens**-self.data_exponent
        )


def fit_law(points: Sequence[Point], weights: Array | None = None) -> Law:
    """The law with the least sum of squared relative residuals; `weights` [P] multiply the squares.

    ValueError without a point, or when a value is not finite and above zero.
    """
    table = np.array(points, np.float64).reshape(-1, 3)
    if not len(table) or not np.isfinite(table).all() or (table <= 0).any():
        raise ValueError("a law needs points whose parameters, tokens and loss are finite and above zero")
    scale = np.sqrt(np.ones(len(table)) if weights is None else weights) / table[:, 2]
    return _search(table, scale)


def fit_huber(points: Sequence[Point]) -> Law:
    """The same law under a loss that forgives outliers: Huber's of the residuals of the logarithm.

    By iteratively reweighted least squares (Holland and Welsch 1977), each round a whole search.
    """
    weights = np.ones(len(points))
    law = fit_law(points, weights)
    for _ in range(HUBER_ROUNDS):
        found = np.array([abs(math.log(law.at(p.parameters, p.tokens) / p.loss)) for p in points])
        weights = HUBER_DELTA / np.maximum(found, HUBER_DELTA)
        before, law = law, fit_law(points, weights)
        if before[:5] == law[:5]:
            break
    return law


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # a cell without a finite answer is never the best
def _search(table: Array, scale: Array) -> Law:
    low, high = EXPONENTS
    coarse = np.arange(round((high - low) / COARSE_STEP) + 1, dtype=np.float64) * COARSE_STEP + low
    first = _best_of(table, scale, coarse, coarse)
    around = np.arange(-round(COARSE_STEP / FINE_STEP), round(COARSE_STEP / FINE_STEP) + 1) * FINE_STEP
    sizes = np.asarray(np.clip(first.size_exponent + around, low, high), np.float64)
    data = np.asarray(np.clip(first.data_exponent + around, low, high), np.float64)
    return _best_of(table, scale, sizes, data)


def _best_of(table: Array, scale: Array, size_exponents: Array, data_exponents: Array) -> Law:
    """The best cell of a grid of exponents."""
    a_G, b_G = (axis.ravel() for axis in np.meshgrid(size_exponents, data_exponents, indexing="ij"))
    middles = np.exp(np.log(table[:, :2]).mean(axis=0))
    sizes_P, tokens_P = (table[:, :2] / middles).T
    columns_GPK = np.stack(
        [
            np.ones((len(a_G), len(table))),
            sizes_P[None] ** -a_G[:, None],
            tokens_P[None] ** -b_G[:, None],
        ],
        axis=2,
    )
    solved_GK, squares_G = nonnegative_least_squares(columns_GPK * scale[None, :, None], table[:, 2] * scale)
    best = int(np.argmin(squares_G))
    a, b = float(a_G[best]), float(b_G[best])
    floor, size, data = (float(value) for value in solved_GK[best])
    law = Law(floor, size * float(middles[0]) ** a, data * float(middles[1]) ** b, a, b, 0.0)
    relative = [law.at(n, d) / loss - 1 for n, d, loss in table.tolist()]
    return law._replace(residual=math.sqrt(math.fsum(value * value for value in relative) / len(relative)))


def nonnegative_least_squares(columns_GPK: Array, target_P: Array) -> tuple[Array, Array]:
    """(solutions [G, 3], sums of squares [G]) of many problems in three unknowns at once.

    The answer solves the plain problem of some of the columns and has nothing below zero, so of the seven choices of
    columns the best such one is it.
    """
    solutions = np.zeros(columns_GPK.shape[::2])
    squares = np.full(len(columns_GPK), float(target_P @ target_P))
    for subset in _SUBSETS:
        part_GPK = columns_GPK[:, :, subset]
        found_GK = _least_squares(part_GPK, target_P)
        left_G = ((part_GPK @ found_GK[:, :, None])[:, :, 0] - target_P) ** 2
        sums_G = left_G.sum(axis=1)
        better = (found_GK >= 0).all(axis=1) & (sums_G < squares)
        squares[better] = sums_G[better]
        solutions[better] = 0.0
        solutions[np.ix_(better, subset)] = found_GK[better]
    return solutions, squares


def _least_squares(columns_GPK: Array, target_P: Array) -> Array:
    """Plain least squares by the normal equations of unit columns; columns that depend on each other give NaN."""
    lengths_GK = np.sqrt((columns_GPK**2).sum(axis=1))
    unit_GPK = columns_GPK / lengths_GK[:, None, :]
    transposed = unit_GPK.transpose(0, 2, 1)
    normal_GKK = transposed @ unit_GPK
    usable = np.linalg.det(normal_GKK) > LEAST_DETERMINANT
    found = np.full(lengths_GK.shape, np.nan)
    if usable.any():
        right = (transposed[usable] @ target_P)[:, :, None]
        found[usable] = np.linalg.solve(normal_GKK[usable], right)[:, :, 0] / lengths_GK[usable]
    return found

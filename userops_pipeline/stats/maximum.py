"""Maximum likelihood of positive parameters: several starts, Newton's steps to the last digit, standard errors.

Here lives how the few-parameter models of this room are fitted; a model gives its log-likelihood with gradient and starting points.
Add here what every such fit needs. Must not know a model, nor read or write anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]
LogLikelihood = Callable[[Floats], tuple[float, Floats]]  # parameters → value, gradient by parameter

BOUND = 12.0  # of the logarithm: parameters between 6e-6 and 160,000 times the scale of the data
STEP = 1e-5  # of the differences the Hessian is made of, on the log scale
NEAR = 1e-3  # within this, on the log scale, the Hessian is the same
CLOSE = 1e-9  # a Newton step this small, on the log scale, is the maximum
HESSIANS = 12


@dataclass(frozen=True)
class Maximum:
    """Where a log-likelihood is greatest.

    `standard_errors` come from the inverse Hessian on the log scale by the delta method; they are NaN, and `converged` is false, where
    the likelihood is flat or the maximum lies at the edge of what is searched. `agreeing` counts the starts that ended there.
    """

    parameters: Floats
    log_likelihood: float
    standard_errors: Floats
    converged: bool
    evaluations: int
    starts: int
    agreeing: int


def maximise(
    log_likelihood: LogLikelihood, starts: Sequence[Sequence[float]], weight: float, draft: LogLikelihood | None = None
) -> Maximum:
    """The greatest maximum found from these starts.

    Args:
        log_likelihood: of positive parameters, with its gradient.
        starts: positive parameters to begin from.
        weight: observations behind the value, to judge its size by.
        draft: a cheaper log-likelihood of nearly the same data; where given, the starts are tried on it, and the best end is improved.
    """
    search = _Search(log_likelihood, weight)
    first = _Search(draft, weight) if draft else search
    # BFGS and not L-BFGS-B: the latter's LAPACK calls on 4 x 4 matrices wake every thread, and cost more than the likelihood.
    found = [
        minimize(first, np.log(np.asarray(start, dtype=float)), jac=True, method="BFGS", options={"gtol": 1e-5, "maxiter": 300})
        for start in starts
    ]
    best = min(found, key=lambda result: float(result.fun))
    logs, hessian, closed = _newton(search, np.array(best.x))
    eigenvalues = np.linalg.eigvalsh(hessian)
    inside = bool(np.abs(logs).max() < BOUND - 0.5)
    converged = closed and inside and bool(eigenvalues[0] > 1e-10 * eigenvalues[-1])
    errors = np.exp(logs) * np.sqrt(np.diag(np.linalg.inv(hessian)) / weight) if converged else np.full(len(logs), np.nan)
    return Maximum(
        parameters=np.exp(logs),
        log_likelihood=-search(logs)[0] * weight,
        standard_errors=errors,
        converged=converged,
        evaluations=search.evaluations,
        starts=len(found),
        agreeing=sum(float(result.fun) - float(best.fun) < 1e-6 * max(1.0, abs(float(best.fun))) for result in found),
    )


class _Search:
    """The negative log-likelihood per observation over logarithms, with a wall around what is searched."""

    def __init__(self, log_likelihood: LogLikelihood, weight: float) -> None:
        self._log_likelihood, self._weight = log_likelihood, weight
        self.evaluations = 0

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        self.evaluations += 1
        within = np.clip(logs, -BOUND, BOUND)
        beyond = logs - within
        parameters = np.exp(within)
        value, gradient = self._log_likelihood(parameters)
        slope = np.where(beyond == 0, -gradient * parameters / self._weight, 0.0)
        return -value / self._weight + float((beyond**2).sum()), slope + 2 * beyond


def _newton(search: _Search, logs: Floats) -> tuple[Floats, Floats, bool]:
    """Steps to the maximum beside `logs`: where, the Hessian there, and whether they ended; a Hessian serves as long as it helps."""
    slope = search(logs)[1]
    for _ in range(HESSIANS):
        hessian = _hessian(search, logs, slope)
        if not np.isfinite(hessian).all() or np.linalg.eigvalsh(hessian)[0] <= 0:
            return logs, np.nan_to_num(hessian), False
        moved, length = 0.0, 1.0
        while True:
            step = np.linalg.solve(hessian, slope)
            before, length = length, float(np.abs(step).max())
            if length < CLOSE:
                return logs, hessian if moved < NEAR else _hessian(search, logs, slope), True
            if not length < before:  # this Hessian does not help any more
                break
            logs, moved = logs - step, moved + length
            slope = search(logs)[1]
            if length > before / 4:
                break
        if moved == 0:
            break
    return logs, hessian, False


def _hessian(search: _Search, logs: Floats, slope: Floats) -> Floats:
    """Differences of the gradient, made symmetric."""
    hessian = np.array([(search(logs + STEP * ahead)[1] - slope) / STEP for ahead in np.eye(len(logs))])
    return (hessian + hessian.T) / 2

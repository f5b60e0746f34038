"""Lanczos for the norm of one sparse matrix, in one compiled call.

A symmetric matrix without negative entries has its norm as largest eigenvalue (Perron and Frobenius): Lanczos runs on P
and looks at that end alone, so that bipartite graphs, where −‖A‖ is an eigenvalue too, make it no slower, while power
iteration would oscillate. Its start, the vector of ones, meets the leading eigenvector of every component. Elsewhere it
runs on PᵀP. Each step asks whether the residual of the largest Ritz value is small enough, at a cost that does not
depend on the size of the matrix, so that the few steps that a dense random graph needs are all it gets. The residual
itself is the error that is allowed, though the error is mostly its square: two eigenvalues that nearly agree look like
one until the residual is as small as their distance.

A block that is dense enough is spread out first: memory stays O(entries), and products run over whole rows.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

STEPS = 24  # vectors per cycle
CYCLES = 40  # cycles before a matrix is given up
FILLED = 8  # spread out from one entry in eight on
ROUNDING = 1e-12  # relative difference of entries that count as equal

CONVERGED, NOT_CONVERGED, OUT_OF_RANGE = 0, 1, 2


@numba.njit(cache=True)
def norm(pointers: Any, indices: Any, data: Any, random: Any, tol: float) -> tuple[float, int]:
    """Spectral norm of a square CSR matrix without duplicates, and CONVERGED, NOT_CONVERGED or OUT_OF_RANGE.

    Parameters
    ----------
    pointers, indices, data : ndarray
        Of the matrix, (n + 1,), (m,) and (m,); columns sorted in every row.
    random : ndarray, shape (n,) or longer
        Start for matrices with negative entries.
    tol : float
        Relative accuracy.
    """
    size = len(pointers) - 1
    signed = False
    for value in data:
        signed |= value < 0.0
    dense = np.zeros((0, 0))
    symmetric = not signed
    if symmetric and FILLED * len(data) >= size * size:
        spread = _spread(pointers, indices, data, size)
        symmetric = _is_symmetric_dense(spread)
        if symmetric:
            dense = spread
    elif symmetric:
        symmetric = _is_symmetric(pointers, indices, data)
    start = np.empty(size)
    for i in range(size):
        start[i] = random[i] if signed else 1.0
    value, status = _lanczos(pointers, indices, data, dense, start, symmetric, tol if symmetric else 2.0 * tol)
    return value if symmetric else np.sqrt(value), status


@numba.njit(cache=True)
def _lanczos(pointers, indices, data, dense, start, symmetric, tol):  # type: ignore[no-untyped-def]
    """Largest eigenvalue of P, or of PᵀP where P is not symmetric, and how it ended."""
    size = len(start)
    steps = min(STEPS, size)
    basis = np.empty((steps, size))
    image, middle = np.empty(size), np.empty(size)
    alpha, beta, weights = np.empty(steps), np.empty(steps), np.empty(steps)
    vector, value = start, 0.0
    for _ in range(CYCLES):
        _scale(vector, 1.0 / np.sqrt(np.dot(vector, vector)), basis[0])
        for step in range(steps):
            if len(dense):
                _dense_product(dense, basis[step], image)
            elif symmetric:
                _product(pointers, indices, data, basis[step], image)
            else:
                _product(pointers, indices, data, basis[step], middle)
                _transposed_product(pointers, indices, data, middle, image)
            scale = np.sqrt(np.dot(image, image))
            if not 1e-140 < scale < 1e140:
                return 0.0, OUT_OF_RANGE  # of squares in float64; zero and what is not finite among them
            alpha[step] = np.dot(basis[step], image)
            _orthogonalise(basis, step, image)
            beta[step] = np.sqrt(np.dot(image, image))
            value = _largest(alpha, beta, step + 1, value)
            # below 1e-13 of the image the space is invariant
            if beta[step] <= 1e-13 * scale or step + 1 == size:
                return value, CONVERGED
            _eigenvector(alpha, beta, step + 1, value, weights)
            if beta[step] * weights[step] <= tol * value:
                return value, CONVERGED
            if step + 1 < steps:
                _scale(image, 1.0 / beta[step], basis[step + 1])
        for i in range(size):
            vector[i] = 0.0
        for step in range(steps):
            for i in range(size):
                vector[i] += weights[step] * basis[step, i]
    return value, NOT_CONVERGED


@numba.njit(cache=True, error_model="numpy")
def _largest(alpha, beta, size, before):  # type: ignore[no-untyped-def]
    """Largest eigenvalue of a tridiagonal matrix T, given that of its leading part.

    Newton's method on det(xI − T), which falls to it from above; the determinant is the product of the pivots.
    """
    if size == 1:
        return alpha[0]
    last, off = alpha[size - 1], beta[size - 2]
    x = 0.5 * (before + last) + np.sqrt(0.25 * (before - last) ** 2 + off * off)  # not below it
    for _ in range(100):
        pivot, slope, total = 1.0, 0.0, 0.0
        for i in range(size):
            quotient = beta[i - 1] / pivot if i else 0.0
            slope = 1.0 + quotient * quotient * slope
            pivot = x - alpha[i] - (quotient * beta[i - 1] if i else 0.0)
            if pivot <= 0.0:
                return x  # reached, to rounding
            total += slope / pivot
        x -= 1.0 / total
        if 1.0 / total <= 1e-15 * abs(x):
            break
    return x


@numba.njit(cache=True, error_model="numpy")
def _eigenvector(alpha, beta, size, value, out):  # type: ignore[no-untyped-def]
    """Unit eigenvector of T for its largest eigenvalue, into `out`.

    Pivots of xI − T from the top and from the bottom meet where the vector is largest (Dhillon and Parlett).
    """
    above, below = np.empty(size), np.empty(size)
    above[0], below[size - 1] = value - alpha[0], value - alpha[size - 1]
    for i in range(1, size):
        above[i] = value - alpha[i] - beta[i - 1] * beta[i - 1] / above[i - 1]
    for i in range(size - 2, -1, -1):
        below[i] = value - alpha[i] - beta[i] * beta[i] / below[i + 1]
    meet, least = 0, np.inf
    for i in range(size):
        gap = abs(above[i] + below[i] - value + alpha[i])
        if gap < least:
            meet, least = i, gap
    out[meet] = squares = 1.0
    for i in range(meet - 1, -1, -1):
        out[i] = out[i + 1] * beta[i] / above[i]
        squares += out[i] * out[i]
    for i in range(meet + 1, size):
        out[i] = out[i - 1] * beta[i - 1] / below[i]
        squares += out[i] * out[i]
    for i in range(size):
        out[i] /= np.sqrt(squares)


@numba.njit(cache=True)
def _scale(vector, factor, out):  # type: ignore[no-untyped-def]
    for i in range(len(vector)):
        out[i] = factor * vector[i]


@numba.njit(cache=True)
def _orthogonalise(basis, step, image):  # type: ignore[no-untyped-def]
    """Take out of `image` what lies along the basis: the three-term recurrence, then what rounding has left."""
    size = len(image)
    for first in (max(step - 1, 0), 0):
        for other in range(first, step + 1):
            row = basis[other]
            weight = np.dot(row, image)
            for i in range(size):
                image[i] -= weight * row[i]


@numba.njit(cache=True)
def _product(pointers, indices, data, vector, out):  # type: ignore[no-untyped-def]
    for row in range(len(out)):
        total = 0.0
        for place in range(pointers[row], pointers[row + 1]):
            total += data[place] * vector[np.uintp(indices[place])]
        out[row] = total


@numba.njit(cache=True)
def _transposed_product(pointers, indices, data, vector, out):  # type: ignore[no-untyped-def]
    for row in range(len(out)):
        out[row] = 0.0
    for row in range(len(out)):
        value = vector[row]
        for place in range(pointers[row], pointers[row + 1]):
            out[np.uintp(indices[place])] += data[place] * value


@numba.njit(cache=True)
def _dense_product(dense, vector, out):  # type: ignore[no-untyped-def]
    """Of a symmetric matrix: sums of rows, four at a time, which the compiler turns into vector instructions."""
    size = len(out)
    for i in range(size):
        out[i] = 0.0
    whole = size - size % 4
    for row in range(0, whole, 4):
        a, b, c, d = vector[row], vector[row + 1], vector[row + 2], vector[row + 3]
        first, second, third, fourth = dense[row], dense[row + 1], dense[row + 2], dense[row + 3]
        for i in range(size):
            out[i] += a * first[i] + b * second[i] + c * third[i] + d * fourth[i]
    for row in range(whole, size):
        a, first = vector[row], dense[row]
        for i in range(size):
            out[i] += a * first[i]


@numba.njit(cache=True)
def _spread(pointers, indices, data, size):  # type: ignore[no-untyped-def]
    dense = np.zeros((size, size))
    for row in range(size):
        for place in range(pointers[row], pointers[row + 1]):
            dense[row, np.uintp(indices[place])] = data[place]
    return dense


@numba.njit(cache=True)
def _is_symmetric_dense(dense):  # type: ignore[no-untyped-def]
    for row in range(len(dense)):
        for column in range(row):
            left, right = dense[row, column], dense[column, row]
            if abs(left - right) > ROUNDING * (left + right):
                return False
    return True


@numba.njit(cache=True)
def _is_symmetric(pointers, indices, data):  # type: ignore[no-untyped-def]
    """Whether a CSR matrix with sorted rows equals its transpose.

    Row by row, an entry right of the diagonal must be the next one of its column's row that was not met so far, and a
    row's entries left of the diagonal must all have been met when the row is reached.
    """
    size = len(pointers) - 1
    next_place = np.empty(size, np.int64)
    for row in range(size):
        next_place[row] = pointers[row]
    for row in range(size):
        place = next_place[row]
        if place < pointers[row + 1] and indices[place] < row:
            return False
        if place < pointers[row + 1] and indices[place] == row:
            place += 1
        for right in range(place, pointers[row + 1]):
            column = indices[right]
            other = next_place[column]
            if other >= pointers[column + 1] or indices[other] != row:
                return False
            if abs(data[other] - data[right]) > ROUNDING * (data[other] + data[right]):
                return False
            next_place[column] += 1
    return True

"""Mobility networks as published: visits of census block groups to points of interest, with what an epidemic needs."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from reprise.edge_intervention.restricted_pickle import load_csr_list
from reprise.edge_intervention.validation import numbers
from reprise.edge_intervention.weights import as_weights

# The published weights are visits of a month; the simulations run in weeks.
WEEK = 7 / 31


@dataclass(frozen=True)
class City:
    """Fitted parameters of a city's epidemic, and the paper's rank and steps for it.

    Parameters
    ----------
    beta_base : float
        Transmission rate at home.
    psi : float
        Factor on the transmission rates of places.
    p0 : float
        Share of people exposed at the start.
    rank, steps : int
    """

    beta_base: float
    psi: float
    p0: float
    rank: int
    steps: int


CITIES = {
    "CH": City(0.193010340451304, 0.00711154831553788, 0.0002, 44, 29),
    "MI": City(0.0169249008573913, 0.0347149337071007, 0.0002, 20, 49),
    "PH": City(0.136110588507162, 0.00428064406178194, 0.0005, 22, 49),
    "WA": City(0.155299241365275, 0.00133618171788944, 0.0005, 11, 11),
}


@dataclass(frozen=True)
class MobilityNetwork:
    """Visits and what happens at them.

    Parameters
    ----------
    weights : csr_array, shape (n, m)
        Visits of each block group to each place, per month as published; `weekly` gives them per week.
    beta_poi : ndarray, shape (m,)
        Relative transmission rate of each place; times a city's ``psi`` it is a rate per step.
    population : ndarray, shape (n,)
    category_pois : ndarray of int, shape (k,)
        Columns of the places of the ten categories that the paper's category baseline closes.
    """

    weights: sparse.csr_array
    beta_poi: np.ndarray
    population: np.ndarray
    category_pois: np.ndarray

    @property
    def weekly(self) -> sparse.csr_array:
        """Visits per week: 7/31 of the published ones. Budgets are shares of these."""
        return sparse.csr_array(self.weights * WEEK)


def load_mobility(path: str | Path) -> MobilityNetwork:
    """Read a folder of the published layout: weights.npz, beta_poi.npy, cbg_population.npy, poi_indexes.npy.

    Parameters
    ----------
    path : path
        The folder of one metropolitan area.

    Returns
    -------
    MobilityNetwork

    Raises
    ------
    FileNotFoundError
        Naming the file.
    ValueError, TypeError
        If a file is damaged, or the shapes do not go together. Pickled arrays are refused.
    """
    folder = Path(path)
    weights = as_weights(_sparse(folder / "weights.npz"), name="weights.npz")
    n, m = weights.shape
    beta = numbers("beta_poi.npy", _array(folder / "beta_poi.npy"), m, of="place")
    population = numbers("cbg_population.npy", _array(folder / "cbg_population.npy"), n, of="block group", low=1.0)
    places = _array(folder / "poi_indexes.npy")
    if places.ndim != 1 or places.dtype.kind not in "iu" or (len(places) and not 0 <= places.min() <= places.max() < m):
        raise ValueError(f"poi_indexes.npy must hold columns between 0 and {m - 1}, got {places.dtype} {places.shape}")
    return MobilityNetwork(weights, beta, population, places)


def load_weekly(path: str | Path) -> list[sparse.csr_array]:
    """Read weekly networks: weekly_networks.npz, or the official pickle of a list of CSR matrices.

    Parameters
    ----------
    path : path
        A .npz file with the keys shape, num_weeks, data_t, indices_t and indptr_t; or a .pkl file, which is read by an
        unpickler that knows numpy arrays and CSR matrices only.

    Returns
    -------
    list of csr_array, each of shape (n, m)

    Raises
    ------
    FileNotFoundError, ValueError
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    if file.suffix in (".pkl", ".pickle"):
        found = load_csr_list(file)
    else:
        found = _weekly_npz(file)
    return [as_weights(week, name=f"week {t}") for t, week in enumerate(found)]


def _weekly_npz(file: Path) -> list[sparse.csr_array]:
    try:
        with np.load(file, allow_pickle=False) as opened:
            shape = tuple(int(side) for side in opened["shape"])
            return [
                sparse.csr_array(
                    (opened[f"data_{t}"].astype(np.float64), opened[f"indices_{t}"], opened[f"indptr_{t}"]), shape=shape
                )
                for t in range(int(opened["num_weeks"]))
            ]
    except (KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file.name} must hold shape, num_weeks, data_t, indices_t, indptr_t: {error}") from error


def _array(file: Path) -> Any:
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    try:
        return np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{file.name} is no .npy file of numbers: {error}") from error


def _sparse(file: Path) -> Any:
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    try:
        return sparse.load_npz(file)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file.name} is no sparse matrix in .npz: {error}") from error

"""Linear measurements of a symmetric matrix: one class per structure, one interface."""

from reprise.matrix_sensing.measurements.base import Measurements
from reprise.matrix_sensing.measurements.callables import CallableMeasurements
from reprise.matrix_sensing.measurements.dense import DenseMeasurements, GaussianMeasurements
from reprise.matrix_sensing.measurements.entries import EntryMeasurements
from reprise.matrix_sensing.measurements.rank_one import RankOneMeasurements
from reprise.matrix_sensing.measurements.sparse import SparseMeasurements

__all__ = [
    "CallableMeasurements",
    "DenseMeasurements",
    "EntryMeasurements",
    "GaussianMeasurements",
    "Measurements",
    "RankOneMeasurements",
    "SparseMeasurements",
]

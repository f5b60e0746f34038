"""What can be wrong with a user's data, as exceptions that say it in one sentence."""


class DatasetLayoutError(ValueError):
    """A folder does not hold what the published layout asks for."""


class CoordinateError(ValueError):
    """Coordinates are no longitudes and latitudes, or lie elsewhere than the streets."""


class LeakageError(ValueError):
    """Training would see what it is tested on."""


class PositivityError(ValueError):
    """The covariates tell treated from untreated units: nothing is left to compare."""


class ConvergenceWarning(UserWarning):
    """An iterative fit stopped before it met its tolerance."""


class DownloadError(OSError):
    """A file could not be downloaded, or is not the one that its owner lists."""

"""What Algorithms 1 and 2 are compared with: completion of M itself, and convex completion of its second moment."""

from reprise.one_sided_completion.baselines.alternating import alternating_descent
from reprise.one_sided_completion.baselines.nuclear_norm import nuclear_norm, nuclear_norm_program
from reprise.one_sided_completion.baselines.soft_impute import soft_impute
from reprise.one_sided_completion.baselines.zero_fill import zero_fill

__all__ = ["alternating_descent", "nuclear_norm", "nuclear_norm_program", "soft_impute", "zero_fill"]

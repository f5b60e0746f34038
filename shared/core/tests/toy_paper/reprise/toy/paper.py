"""What the toy package declares."""

from reprise.core import Paper

PAPER = Paper("toy", ("powers", "fragile"))

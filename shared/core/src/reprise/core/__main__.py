"""``python -m reprise.core`` is the command ``reprise``."""

from .cli import main

main()

"""What a caller can mend: each is shown as one sentence, and the command ends with status 2."""

from __future__ import annotations


class RepriseError(Exception):
    """The call was wrong, or something that it needs is missing; the message is one sentence for the user."""


class MissingData(RepriseError):
    """A data file is not on this machine; the message names it, its source, size and licence."""


class Interrupted(RepriseError):
    """The run was stopped by the user; what was finished is kept, and the message says how to go on."""

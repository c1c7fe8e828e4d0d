"""The errors of hybridq: one base class, each subclass also its builtin counterpart.

They live in this package, which imports nothing of `hybridq`, and are
re-exported by `hybridq.errors`. A message says what was expected, what was given, and
the remedy, in one line: the command line prints it as it is and exits with code 2.
"""

from __future__ import annotations


class HybridqError(Exception):
    """The base of all errors that a user can mend; the message is one line with a remedy.

    Example:
        >>> import hybridq as hq
        >>> try:
        ...     hq.open_backend("fake_torina")
        ... except hq.HybridqError as error:
        ...     print(error)
        Expected ...fake_torino...
    """


class InvalidValueError(HybridqError, ValueError):
    """A value is outside what is allowed."""


class MissingFileError(HybridqError, FileNotFoundError):
    """A file or folder that was named does not exist, or is not what it should be."""


class UnavailableError(HybridqError, RuntimeError):
    """Something outside the program is missing: an account, a network, a package."""

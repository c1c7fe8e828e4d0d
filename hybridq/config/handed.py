"""Parts that are handed over in Python and are on no disk: how records name them."""

from __future__ import annotations

from hybridq.errors import InvalidValueError

PREFIX = "python object "
"""How records begin the name of such a part; no path of an import and no part's name does."""


def handed_name(part: object) -> str:
    """Name a part by its class."""
    kind = type(part)
    return f"{PREFIX}{kind.__module__}.{kind.__qualname__}"


def is_handed(name: object) -> bool:
    """Whether a record names a part that was handed over in Python."""
    return isinstance(name, str) and name.startswith(PREFIX)


def handed_label(name: str) -> str:
    """What a part is called in cards and reports: by its class if it was handed over."""
    return name.rpartition(".")[2].removeprefix(PREFIX) if is_handed(name) else name


def refused_name(what: str, name: str, remedy: str) -> InvalidValueError:
    """Make the error for a name of such a part where the part itself is needed."""
    return InvalidValueError(
        f"Expected the {what} itself, {handed_label(name)!r}, which was handed over in Python, got "
        f"its name alone: {remedy}"
    )


def check_made(what: str, part: object) -> None:
    """Refuse a class where what is made of it is wanted.

    Args:
        what: What the part is, such as `encoder`.
        part: What was handed over.

    Raises:
        InvalidValueError: If it is a class.
    """
    if isinstance(part, type):
        name = part.__name__
        raise InvalidValueError(
            f"Expected the {what} as an object, got the class {name}: make one: {name}()."
        )

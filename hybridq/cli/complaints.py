"""What the parser of the command line finds wrong, in one line of our words."""

from __future__ import annotations

import re

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hybridq.config.complaints import said, says_what_it_got, shortened


def has_no_prefix(field: FieldInfo) -> bool:
    """Whether the flags of a part have no name of the part in them, as `--precision`."""
    return any(str(one) == "OmitArgPrefixes" for one in field.metadata)


def required(model: type[BaseModel]) -> list[str]:
    """What a command cannot do without, as its help names it."""
    return [
        name.upper()
        if any(str(one) == "Positional" for one in field.metadata)
        else f"--{name.replace('_', '-')}"
        for name, field in model.model_fields.items()
        if field.is_required()
    ]


def flags_of(model: type[BaseModel]) -> dict[tuple[str, str], str]:
    """The flag of each field of a command's config, by the names of the class and the field."""
    found = {}
    for name, field in model.model_fields.items():
        found[model.__name__, name] = f"--{name.replace('_', '-')}"
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            for inner, about in nested.model_fields.items():
                alone = any(getattr(one, "prefix_name", None) is False for one in about.metadata)
                prefix = "" if alone or has_no_prefix(field) else f"{name}."
                found[nested.__name__, inner] = f"--{prefix}{inner.replace('_', '-')}"
    return found


def explain(message: str, name: str, model: type[BaseModel]) -> str:
    """What tyro printed in a box, in one line."""
    lines = [re.sub(r"[╭╮╰╯│─]+", " ", line).strip() for line in message.splitlines()]
    lines = [line for line in lines if line and not line.startswith("For full helptext")]
    text = " ".join(line for line in lines if line != f"hybridq {name} --help")
    missing = re.search(r"Missing from hybridq [^:]+: (\S+) (.+?)\.? \(required\)", text)
    if missing:
        what, meaning = missing.groups()
        meaning = re.sub(r"^[A-Z]{2,} (?=[A-Z])", "", meaning)  # the placeholder of a flag's value
        if not re.match("[A-Z]{2}", meaning):
            meaning = meaning[0].lower() + meaning[1:]
        return f"Expected {what}, {meaning}, got nothing: see hybridq {name} --help."
    together = re.search(r"validation errors? for \w+ Value error, (Expected .+?) \[type=", text)
    if together:  # of several options, and whole
        return f"{together[1]}."
    complaint = re.search(
        r"validation errors? for (\w+) (\S+) (.+?) \[type=\w+, input_value=(.+?), input_type", text
    )
    if complaint:
        place, field, complaint_text, got = complaint.groups()
        flag = flags_of(model).get((place, field), f"--{field.replace('_', '-')}")
        if says_what_it_got(complaint_text):
            return f"{said(complaint_text)} for {flag}: see hybridq {name} --help."
        return (
            f"{said(complaint_text)} for {flag}, got {shortened(got)}: see hybridq {name} --help."
        )
    choice = re.search(
        r"invalid choice '(.*?)' for argument '(\S+?)'\. Expected one of \((.+?)\)", text
    )
    if choice:
        got, flag, known = choice.groups()
        return f"Expected one of {known} for {flag}, got {got!r}: see hybridq {name} --help."
    wrong = re.search(
        r"Error parsing (\S+): (invalid literal for int|could not convert)[^']+'(.*)'", text
    )
    if wrong:
        flag, kind, got = wrong.groups()
        wanted = "a whole number" if "int" in kind else "a number"
        return f"Expected {wanted} for {flag}, got {shortened(got)!r}: see hybridq {name} --help."
    if digits := re.search(r"Error parsing (\S+): Exceeds the limit", text):
        wanted = f"a smaller number for {digits[1]}"
        return f"Expected {wanted}, got thousands of digits: see hybridq {name} --help."
    unknown = re.search(
        r"Unrecognized options: (.+?)(?: -{5,}| Perhaps you| Arguments similar|$)", text
    )
    if unknown:
        near = re.search(r"(?:Perhaps you meant|Arguments similar to \S+): (--\S+)", text)
        remedy = f"did you mean {near[1]}? See" if near else "see"
        return (
            f"Expected known options, got {shortened(unknown[1])}: {remedy} hybridq {name} --help."
        )
    text = text.split("Argument helptext:")[0]
    text = re.sub(
        r"^(Value error|Parsing error|Missing argument|Unrecognized options)\s+", "", text
    )
    return f"{text.strip().rstrip('.')}: see hybridq {name} --help."

"""What the parser of the command line and pydantic find wrong, in one line of our words."""

from __future__ import annotations

import re

from pydantic import ValidationError

PREFIXES = {"HeadConfig": "head.", "AugmentConfig": "augment."}
"""What stands before the fields of a nested config on the command line."""


def pydantic_line(error: ValidationError) -> str:
    """The first complaint of pydantic in one line."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if not place.isprintable():
        place = repr(place)
    if first["type"] == "extra_forbidden":
        return f"Expected known options, got `{shortened(place)}`: see --help, and correct it"
    if first["type"] == "missing":
        return f"Expected a value for `{place}`, got none: give it"
    place = f"`{place}`" if place else "the options"
    return (
        f"{said(first['msg'])} for {place}, got {shortened(repr(first.get('input')))}: correct it"
    )


def said(complaint: str) -> str:
    """A complaint of pydantic in our words."""
    complaint = complaint.removeprefix("Value error, ")
    return (
        re.sub(
            r"^(Input|String|Tuple|List) should be (an? )?",
            lambda match: f"Expected {match[2] or 'a value '}",
            complaint,
        )
        .replace("Tuple should have", "Expected a list of")
        .replace("String should match", "Expected a text that matches")
    )


def shortened(text: str) -> str:
    """The beginning of a long text."""
    return text if len(text) <= 120 else text[:120] + "..."


def explain(message: str, name: str) -> str:
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
    complaint = re.search(
        r"validation errors? for (\w+) (\S+) (.+?) \[type=\w+, input_value=(.+?), input_type", text
    )
    if complaint:
        model, field, complaint_text, got = complaint.groups()
        flag = f"--{PREFIXES.get(model, '')}{field.replace('_', '-')}"
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

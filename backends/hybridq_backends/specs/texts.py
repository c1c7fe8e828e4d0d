"""Write a spec as users write a backend: a profile's name, then the fields that differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hybridq_backends.errors import HybridqError
from hybridq_backends.specs.base import Spec
from hybridq_backends.specs.profiles import parse_backend, sound_backends


def backend_text(spec: Spec) -> str | None:
    """Write a spec as a text that `parse_backend` reads back.

    Args:
        spec: A spec.

    Returns:
        The shortest such text, such as `aer_noisy,device=FakeTorino,shots=1024`; None where no
        profile leads to the spec, as where it holds a secret.
    """
    profiles, _ = sound_backends()
    texts = []
    for name, profile in profiles.items():
        if type(profile.spec) is type(spec):
            text = ",".join([name, *_differing(profile.spec, spec)])
            try:
                if parse_backend(text) == spec:
                    texts.append(text)
            except HybridqError:  # a value that cannot be written so
                continue
    return min(texts, key=lambda text: (text.count(","), len(text), text), default=None)


def _differing(base: Spec, spec: Spec) -> Iterator[str]:
    """The fields of a spec that differ from another's, as `field=value`."""
    for field in type(spec).model_fields:
        value, usual = getattr(spec, field), getattr(base, field)
        if value == usual:
            continue
        if isinstance(value, dict):
            for key, entry in value.items():
                if entry != (usual or {}).get(key):
                    yield f"{field}.{key}={_written(entry)}"
        else:
            yield f"{field}={_written(value)}"


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)

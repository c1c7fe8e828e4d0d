"""Record which noise model a simulator of the user's own carries."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from qiskit.providers import BackendV2
from qiskit_aer.noise import NoiseModel


def noise_record(backend: BackendV2) -> dict[str, Any]:
    """Name the noise model among a backend's options, by a hash of its content.

    Args:
        backend: Any backend; Aer's simulators take a noise model.

    Returns:
        `noise_model` with `sha256` and the names of the noisy `instructions`; empty where the
        backend has none. Equal models give equal hashes, in any process.
    """
    model = getattr(backend.options, "noise_model", None)
    if not isinstance(model, NoiseModel):
        return {}
    content = model.to_dict(serializable=True)
    for error in content["errors"]:
        error.pop("id", None)  # drawn at random for each error
    content["passes"] = [_numbers_of(one) for one in model._custom_noise_passes]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {
        "noise_model": {"sha256": digest, "instructions": sorted(model.noise_instructions)},
    }


def _numbers_of(noise_pass: object) -> dict[str, Any]:
    """The class of a noise pass, and the numbers that it holds."""
    numbers = {
        name: np.asarray(value).tolist()
        for name, value in vars(noise_pass).items()
        if isinstance(value, float | np.ndarray)
    }
    return {"class": type(noise_pass).__name__, **numbers}

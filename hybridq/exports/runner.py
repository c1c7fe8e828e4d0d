"""Compute the probabilities of an exported model: `python run.py IMAGES.npy`.

IMAGES.npy holds uint8 images `(count, height, width)` or `(count, height, width, channels)`, grey
or colour. It needs NumPy and onnxruntime, and Qiskit where the model has circuits, which are
computed exactly. Not a medical device.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

FOLDER = Path(__file__).parent

BATCH = 64


def resizing(size: int, target: int) -> Any:
    """Weights `(target, size)` of bilinear resizing with antialiasing, as torch rounds them."""
    scale = np.float32(size / target)
    reach = max(scale, np.float32(1))
    centres = scale * (np.arange(target, dtype=np.float32) + np.float32(0.5))
    distances = np.arange(size, dtype=np.float32) - centres[:, None] + np.float32(0.5)
    weights = np.maximum(0, 1 - np.abs(distances * (1 / reach)))
    return weights / weights.sum(axis=1, keepdims=True)


def prepare(images: Any, how: Any) -> Any:
    """Prepare uint8 images for the encoder, `(count, 3, image_size, image_size)`."""
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise ValueError(
            "Expected uint8 images (count, height, width) or (count, height, width, channels), "
            f"got {images.dtype} of {images.shape}: scale them to 0..255."
        )
    pixels = np.moveaxis(images.reshape(*images.shape[:3], -1), 3, 1) / np.float32(255)
    height, width = (resizing(side, how["resized_to"]) for side in images.shape[1:3])
    inner = slice(how["edge"], how["edge"] + how["image_size"])
    pixels = (height @ (pixels @ width.T))[..., inner, inner]
    mean, std = (np.float32(how[name]).reshape(3, 1, 1) for name in ("mean", "std"))
    return (pixels - mean) / std


def compute(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Run an ONNX file on the values that it takes, and add what it gives."""
    session = onnxruntime.InferenceSession(FOLDER / name, providers=["CPUExecutionProvider"])
    taken = {entry.name: values[entry.name] for entry in session.get_inputs()}
    given = [entry.name for entry in session.get_outputs()]
    return {**values, **dict(zip(given, session.run(given, taken), strict=True))}


def measure(circuit: dict[str, Any], angles: Any) -> Any:
    """Compute the expectation values `(..., observables)` of angles `(..., inputs)`."""
    from qiskit import qpy
    from qiskit.primitives import StatevectorEstimator
    from qiskit.quantum_info import SparsePauliOp

    with open(FOLDER / circuit["qpy"], "rb") as file:
        (quantum,) = qpy.load(file)
    observables = [[SparsePauliOp.from_list(terms)] for terms in circuit["observables"]]
    rows = angles.reshape(-1, angles.shape[-1]).astype(float)
    pub = (quantum, observables, {tuple(circuit["inputs"]): rows})
    expvals = StatevectorEstimator().run([pub]).result()[0].data.evs
    return expvals.T.reshape(*angles.shape[:-1], -1).astype(angles.dtype)


def probabilities(images: Any) -> Any:
    """Compute the probabilities `(count, classes)` of uint8 images."""
    model = json.loads((FOLDER / "model.json").read_text(encoding="utf-8"))
    values = {"images": prepare(np.asarray(images), model["preprocessing"])}
    if not model["circuits"]:
        return compute("model.onnx", values)["probabilities"]
    values = compute("encoder.onnx", values)
    for circuit in model["circuits"]:
        values[circuit["expvals"]] = measure(circuit, values[circuit["angles"]])
    return compute("readout.onnx", values)["probabilities"]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python run.py IMAGES.npy")
    images = np.load(sys.argv[1], mmap_mode="r")
    for start in range(0, len(images), BATCH):
        for row in probabilities(images[start : start + BATCH]):
            print(",".join(f"{value:.8g}" for value in row))

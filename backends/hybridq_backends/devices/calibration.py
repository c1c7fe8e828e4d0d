"""Save the calibration of a device in a file, and open a device from such a file."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2, Options
from qiskit.transpiler import Target
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider.backend_encoder import BackendEncoder
from qiskit_ibm_runtime.models import BackendProperties, QasmBackendConfiguration
from qiskit_ibm_runtime.utils.backend_converter import convert_to_target
from qiskit_ibm_runtime.utils.backend_decoder import decode_backend_configuration

from hybridq_backends.devices.calibration_file import FORMAT, VERSION, fault_of, is_measured
from hybridq_backends.errors import InvalidValueError, MissingFileError
from hybridq_backends.utils.files import atomic_path, read_json

SUFFIX = ".json"
# What describes the device itself. Anything else, such as an address, stays out of the file.
_CONFIGURATION = {
    *("backend_name", "backend_version", "n_qubits", "basis_gates", "gates", "local"),
    *("simulator", "conditional", "open_pulse", "memory", "max_shots", "coupling_map"),
    *("supported_instructions", "instruction_signatures", "dt", "dtm"),
    *("timing_constraints", "processor_type", "online_date", "meas_map"),
    *("default_rep_delay", "supported_features", "description", "quantum_volume"),
}
_PROPERTIES = {
    *("backend_name", "backend_version", "last_update_date", "qubits", "gates", "general"),
}


class SnapshotBackend(BackendV2):  # type: ignore[misc]
    """A device as it was calibrated on one day: its target, configuration and properties."""

    def __init__(
        self, configuration: QasmBackendConfiguration, properties: BackendProperties
    ) -> None:
        """Build the target from a configuration and properties.

        Args:
            configuration: Gates, couplings and timing.
            properties: Errors, times, T1 and T2.
        """
        super().__init__(
            name=configuration.backend_name, backend_version=configuration.backend_version
        )
        self._configuration = configuration
        self._properties = properties
        self._target = convert_to_target(configuration, properties)

    @property
    def target(self) -> Target:
        """The target, with the calibrated errors."""
        return self._target

    @property
    def max_circuits(self) -> None:
        """None: the number of circuits in a run has no limit."""
        return None

    def configuration(self) -> QasmBackendConfiguration:
        """Get gates, couplings and timing."""
        return self._configuration

    def properties(self) -> BackendProperties:
        """Get the calibrated values."""
        return self._properties

    @classmethod
    def _default_options(cls) -> Options:
        return Options(shots=4096)

    def run(self, run_input: Any, **options: Any) -> Any:
        """Run circuits on Aer with the noise of the whole device; cut large ones first."""
        return AerSimulator.from_backend(self).run(run_input, **options)


def save_calibration(backend: BackendV2, path: str | Path) -> Path:
    """Save the present calibration of a device; nothing of an account is written.

    Args:
        backend: An IBM device, a fake device of qiskit-ibm-runtime, or a saved one.
        path: The file, ending in .json; it is replaced at once or not at all.

    Returns:
        The file.

    Raises:
        InvalidValueError: If the backend has no calibration, or the file is not a .json.
        MissingFileError: If the file cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise InvalidValueError(
            f"Expected a file that ends in {SUFFIX}, got {str(path)!r}: rename it."
        )
    configuration, properties = (
        found() if callable(found := getattr(backend, part, None)) else None
        for part in ("configuration", "properties")
    )
    if configuration is None or properties is None:
        raise InvalidValueError(
            f"Expected a device with configuration and properties, got {backend.name!r}: take an "
            "IBM device, or a fake one such as FakeTorino."
        )
    content = {
        "format": FORMAT,
        "version": VERSION,
        "name": backend.name,
        "calibration_date": calibration_date(backend),
        "configuration": _only(configuration.to_dict(), _CONFIGURATION),
        "properties": _only(properties.to_dict(), _PROPERTIES),
    }
    content = _sound(json.loads(json.dumps(content, cls=BackendEncoder)))
    fault = fault_of(content)
    if fault is not None:
        raise InvalidValueError(
            f"Expected a whole calibration of {backend.name!r}, got a damaged one ({fault}): wait "
            "until the device is calibrated anew, or take another."
        )
    try:
        if not path.parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "no such folder")
        with atomic_path(path) as partial:
            partial.write_text(json.dumps(content) + "\n", encoding="utf-8")
    except OSError as error:
        raise MissingFileError(
            f"Expected to write {str(path)!r}, got {error.strerror}: choose another file."
        ) from error
    return path


def load_calibration(path: str | Path) -> SnapshotBackend:
    """Open the device of a saved calibration.

    Args:
        path: A file of `save_calibration`.

    Returns:
        The device, with the target of that day.

    Raises:
        MissingFileError: If the file cannot be read.
        InvalidValueError: If it is damaged, or of another format.
    """
    remedy = "save one with `hybridq backends save`."
    content = read_json(path, "a saved calibration", remedy)
    found = (content.get("format"), content.get("version")) if isinstance(content, dict) else None
    if found != (FORMAT, VERSION):
        raise InvalidValueError(
            f"Expected a saved calibration (format {FORMAT!r}, version {VERSION}) in "
            f"{str(path)!r}, got another format: {remedy}"
        )
    fault = fault_of(content)
    if fault is not None:
        raise InvalidValueError(
            f"Expected a whole calibration in {str(path)!r}, got a damaged one ({fault}): {remedy}"
        )
    try:
        configuration = content["configuration"]
        decode_backend_configuration(configuration)
        return SnapshotBackend(
            QasmBackendConfiguration.from_dict(configuration),
            BackendProperties.from_dict(content["properties"]),
        )
    except (
        *(LookupError, TypeError, ValueError, ArithmeticError, AttributeError),
        QiskitError,
    ) as error:
        raise InvalidValueError(
            f"Expected a whole calibration in {str(path)!r}, got a damaged one "
            f"({type(error).__name__}: {' '.join(str(error).split())}): {remedy}"
        ) from error


def _sound(content: dict[str, Any]) -> dict[str, Any]:
    """Leave out measured values that are impossible; they then count as unknown."""
    properties = content["properties"]
    properties["qubits"] = [list(filter(is_measured, qubit)) for qubit in properties["qubits"]]
    for gate in properties["gates"]:
        gate["parameters"] = list(filter(is_measured, gate["parameters"]))
    return content


def _only(fields: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    """Keep the fields that are known to describe the device."""
    return {name: value for name, value in fields.items() if name in known}


def calibration_date(backend: BackendV2) -> str | None:
    """Read when a device was last calibrated, in ISO 8601, where it says so."""
    properties = getattr(backend, "properties", None)
    if not callable(properties):
        return None
    found = properties()
    date = getattr(found, "last_update_date", None)
    return None if date is None else str(getattr(date, "isoformat", lambda: date)())

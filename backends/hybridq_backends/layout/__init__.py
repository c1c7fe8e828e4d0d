"""Choose the qubits of a device by its calibration."""

"""Run circuits on Qiskit Aer and on any Qiskit backend."""

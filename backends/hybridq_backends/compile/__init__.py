"""Compile circuits to the instructions, the qubits and the gate angles of a backend."""

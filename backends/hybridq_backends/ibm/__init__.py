"""Reach IBM Quantum: accounts, requests, options, errors and the size of jobs."""

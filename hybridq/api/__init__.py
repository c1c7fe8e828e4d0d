"""The package from Python: what stands at the root of `hybridq`."""

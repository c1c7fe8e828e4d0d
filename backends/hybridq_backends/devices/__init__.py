"""Open devices from snapshots and from files of their calibration."""

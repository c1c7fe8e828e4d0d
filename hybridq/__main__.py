"""`python -m hybridq` is the command line."""

from __future__ import annotations

import sys

from hybridq.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

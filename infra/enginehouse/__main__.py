"""`python -m enginehouse`: the same as the console script."""

from __future__ import annotations

import sys

from enginehouse.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""Entry point: `python3 tools/bootstrap VERB` from anywhere."""

import sys
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(
        f"error: Enginehouse needs Python 3.11 or newer, this is {sys.version.split()[0]}\n"
        "hint: install a newer one and name it: make up PYTHON=python3.12"
    )

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bootstrap.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

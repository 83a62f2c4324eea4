"""Where things are: the clone, and the cache that outlives it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folders of one clone and its user's cache; nothing here touches the disk."""

    root: Path
    cache: Path

    @property
    def store(self) -> Path:
        """Immutable entries `<name>-<version>-<hash>`, made by `Store`."""
        return self.cache / "store"

    @property
    def bin(self) -> Path:
        """Links to the programs to use; deployments look here."""
        return self.cache / "bin"

    @property
    def models(self) -> Path:
        """Demo weights, shared by all clones."""
        return self.cache / "models"

    @property
    def logs(self) -> Path:
        """Full output of long steps."""
        return self.cache / "logs"

    @property
    def venv(self) -> Path:
        """The clone's virtual environment."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The virtual environment's interpreter."""
        return self.venv / "bin" / "python"

    @property
    def tools(self) -> Path:
        """Sources of the tools that live in this repository."""
        return self.root / "tools"

    @property
    def pulumi(self) -> Path:
        """The shim; `make` uses the same door as the user."""
        return self.root / "bin" / "pulumi"


def find_places(environ: Mapping[str, str] = os.environ) -> Places:
    """The places of the clone this file lies in, honouring ENGINEHOUSE_CACHE and XDG_CACHE_HOME."""
    return Places(root=Path(__file__).resolve().parents[2], cache=cache_folder(environ))


def cache_folder(environ: Mapping[str, str]) -> Path:
    """The user's cache; an empty variable counts as unset, as the XDG base directory specification says."""
    if own := environ.get("ENGINEHOUSE_CACHE"):
        return Path(own).absolute()
    if xdg := environ.get("XDG_CACHE_HOME"):
        return Path(xdg).absolute() / "enginehouse"
    return Path(environ["HOME"] if environ.get("HOME") else Path.home()) / ".cache" / "enginehouse"

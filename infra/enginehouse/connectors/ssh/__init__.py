"""A machine over SSH: OpenSSH's own configuration, paramiko's protocol, host keys checked by ourselves.

paramiko takes `invoke` along if it is there, for `Match exec` in OpenSSH's configuration, which we leave to OpenSSH's
own client. That is a third of the time to import it (paramiko 4.0, measured 2026-12: 0.05 of 0.14 s).
"""

from __future__ import annotations

import sys

_UNSEEN = sys.modules.setdefault("invoke", None) is None  # type: ignore[arg-type]
import paramiko  # noqa: E402, F401

if _UNSEEN:
    del sys.modules["invoke"]

from enginehouse.connectors.ssh.connector import SshConnector  # noqa: E402

__all__ = ["SshConnector"]

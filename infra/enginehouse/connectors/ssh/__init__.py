"""A machine over SSH: OpenSSH's own configuration, paramiko's protocol, host keys checked by ourselves."""

from __future__ import annotations

from enginehouse.connectors.ssh.connector import SshConnector

__all__ = ["SshConnector"]

"""A small real registry in the place of a public one: serves the images that it is given, for pulling by digest.

It proves that an image is fetched by its digest, once, and with which login (HTTP's basic one). It does not prove
anything about tokens, which public registries give for a login, or about limits.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import ssl
import tarfile
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Registry:
    """Listens on loopback, which Docker trusts without TLS, or where it is told to.

    `pulled` are the digests of manifests that were fetched. `login` is a name, a colon and a password without which
    nothing is given away; `on_pull` is called for each manifest while whoever wants it waits; `asked` has every path
    that was asked for with the right login. With `tls` it speaks https. One that `is_down` ends each connection; one
    that `lies` gives other manifests than those it is asked for.
    """

    def __init__(self, login: str = "", *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.pulled: list[str] = []
        self.asked: list[str] = []
        self.on_pull: Callable[[], None] = lambda: None
        self.is_down = False
        self.lies = False
        self._wanted = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
        self._blobs: dict[str, tuple[str, bytes]] = {}
        self._server = ThreadingHTTPServer((host, 0), self._handler())
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"{self._server.server_address[0]}:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, name: str, files: Mapping[str, Path], config: Mapping[str, object]) -> str:
        """An image of one layer with these files, by their path inside; how it is named with its digest."""
        return self.add_layer(name, _layer(files), config)

    def add_layer(self, name: str, layer: bytes, config: Mapping[str, object]) -> str:
        """The same with a layer that is packed already."""
        return self._image(name, self._blob(_LAYER, gzip.compress(layer, 1)), hashlib.sha256(layer).hexdigest(), config)

    def promise(self, name: str, size: int) -> str:
        """An image of one layer of so many bytes, which nobody can fetch."""
        return self._image(name, {"mediaType": _LAYER, "size": size, "digest": f"sha256:{'12' * 32}"}, "34" * 32, {})

    def _image(self, name: str, layer: Mapping[str, object], unpacked: str, config: Mapping[str, object]) -> str:
        rootfs = {"type": "layers", "diff_ids": [f"sha256:{unpacked}"]}
        image = {"architecture": "amd64", "os": "linux", "config": config, "rootfs": rootfs}
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._blob(_CONFIG, json.dumps(image).encode()),
            "layers": [layer],
        }
        digest = self._blob(_MANIFEST, json.dumps(manifest).encode())["digest"]
        return f"{self.address}/{name}@{digest}"

    def _blob(self, kind: str, content: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._blobs[digest] = (kind, content)
        return {"mediaType": kind, "size": len(content), "digest": digest}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if registry.is_down:
                    self.close_connection = True
                    return
                if registry._wanted and self.headers["Authorization"] != registry._wanted:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="images"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                registry.asked.append(self.path)
                digest = self.path.rpartition("/")[2]
                found = ("application/json", b"{}") if self.path == "/v2/" else registry._blobs.get(digest)
                kind, content = found or ("text/plain", b"")
                if kind == _MANIFEST:
                    registry.on_pull()
                    content += b"\n" if registry.lies else b""
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Docker-Content-Digest", digest)
                self.end_headers()
                if self.command != "HEAD":
                    registry.pulled += [digest] if kind == _MANIFEST else []
                    self.wfile.write(content)

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def _layer(files: Mapping[str, Path]) -> bytes:
    """With the folders, too: Docker would make them for itself, for nobody else to look into."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for folder in sorted({str(parent) for path in files for parent in Path(path).parents[:-1]}):
            entry = tarfile.TarInfo(folder.lstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, file in files.items():
            tar.add(file.resolve(), path.lstrip("/"))
    return content.getvalue()

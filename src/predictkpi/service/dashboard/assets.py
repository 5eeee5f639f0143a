"""Stylesheet, script, icon and the chart library, held in memory. The digest is part of an address, so what it names never changes.

The chart library is Vega, Vega-Lite and Vega-Embed as one script, made from the copy that the package vl-convert-python carries. Making it
takes about a second, so it is made once, in the background.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

from predictkpi.errors import UnknownNameError

CHART_LIBRARY = "vega.js"
_EXPOSE = "window.vegaEmbed = vegaEmbed;"
_MEDIA_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """One file as it is sent."""

    name: str
    content: bytes

    @property
    def media_type(self) -> str:
        """By the name's ending."""
        return _MEDIA_TYPES[self.name.rpartition(".")[2]]

    @cached_property
    def digest(self) -> str:
        """Names the content; part of its address."""
        return hashlib.sha256(self.content).hexdigest()[:16]

    @cached_property
    def compressed(self) -> bytes:
        """The content by gzip, always the same bytes."""
        return gzip.compress(self.content, compresslevel=6, mtime=0)


class Assets:
    """All assets by name."""

    def __init__(self) -> None:
        folder = resources.files("predictkpi.service.dashboard") / "static"
        self._files = {entry.name: Asset(entry.name, entry.read_bytes()) for entry in folder.iterdir() if entry.is_file()}
        self._chart_library: Asset | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Make the chart library in the background."""
        threading.Thread(target=self.get, args=[CHART_LIBRARY], name="predictkpi-assets", daemon=True).start()

    def get(self, name: str) -> Asset:
        """An asset; waits for the chart library if it is being made. Raises `UnknownNameError`."""
        if name == CHART_LIBRARY:
            return self._library()
        if name not in self._files:
            raise UnknownNameError.among("asset", name, known=[*self._files, CHART_LIBRARY])
        return self._files[name]

    def address(self, name: str) -> str:
        """The path to link to."""
        return f"/static/{name}?v={self.get(name).digest}"

    def _library(self) -> Asset:
        with self._lock:
            if self._chart_library is None:
                import vl_convert

                asset = Asset(CHART_LIBRARY, vl_convert.javascript_bundle(_EXPOSE).encode())
                _ = asset.compressed, asset.digest
                self._chart_library = asset
            return self._chart_library

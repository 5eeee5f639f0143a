"""From the outside world to validated tables: files, read through a mapping.

::

    read_mapping -> read_file -> read_feed (select, join, type) -> checks -> [store]

Nothing is lost on the way: what cannot become a row of a table is a reject with its file, row, field, value and reason.
"""

from __future__ import annotations

from predictkpi.sources.feed import Offer, read_feed
from predictkpi.sources.files import RawFile, read_file
from predictkpi.sources.mapping import Feed, Mapping
from predictkpi.sources.mapping_file import read_mapping

__all__ = ["Feed", "Mapping", "Offer", "RawFile", "read_feed", "read_file", "read_mapping"]

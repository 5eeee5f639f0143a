"""Addresses of the pages of single things."""

from __future__ import annotations

from urllib.parse import quote


def page_of(kind: str, entity_id: str) -> str:
    """The address of a single deal's or customer's page, whatever signs its id holds; ``kind`` is deals or customers."""
    return f"/{kind}/{quote(entity_id, safe='/')}"

"""Small helpers for text that customers see."""

from __future__ import annotations


def shorten(text: str, width: int) -> str:
    """The text cut to `width` characters, with an ellipsis where something is missing."""
    if width < 1:
        raise ValueError("width must be at least 1")
    if len(text) <= width:
        return text
    return text[: width - 1].rstrip() + "…"


def plural(count: int, singular: str, many: str | None = None) -> str:
    """A count with its noun: "1 item", "2 items"."""
    noun = singular if count == 1 else many or singular + "s"
    return f"{count} {noun}"

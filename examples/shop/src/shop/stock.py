"""How much of each product is there."""

from __future__ import annotations

from collections.abc import Mapping

from shop.errors import OutOfStock


class Stock:
    """Counts by sku; a product that was never put in has none."""

    def __init__(self, counts: Mapping[str, int] | None = None):
        self._counts = dict(counts or {})

    def available(self, sku: str) -> int:
        """How many are there."""
        return self._counts.get(sku, 0)

    def put(self, sku: str, count: int) -> None:
        """Adds what was delivered."""
        if count < 1:
            raise ValueError("put in at least one")
        self._counts[sku] = self.available(sku) + count

    def take(self, wanted: Mapping[str, int]) -> None:
        """Takes everything, or raises OutOfStock."""
        for sku, count in wanted.items():
            if self.available(sku) < count:
                raise OutOfStock(sku, count, self.available(sku))
            self._counts[sku] -= count

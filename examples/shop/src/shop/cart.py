"""What one customer wants to buy."""

from __future__ import annotations

from shop.catalog import Catalog, Product
from shop.money import ZERO, Money


class Cart:
    """Products and how many of each."""

    def __init__(self, catalog: Catalog):
        self._catalog = catalog
        self._counts: dict[str, int] = {}

    def add(self, sku: str, count: int = 1) -> None:
        """Adds to what is there; the product must be in the catalogue."""
        if count < 1:
            raise ValueError("add at least one")
        self._catalog.get(sku)
        self._counts[sku] = self._counts.get(sku, 0) + count

    def remove(self, sku: str) -> None:
        """Takes a product out altogether; one that is not there is fine."""
        self._counts.pop(sku, None)

    def lines(self) -> list[tuple[Product, int]]:
        """The products and their counts, in the order in which they were added."""
        return [(self._catalog.get(sku), count) for sku, count in self._counts.items()]

    def total(self) -> Money:
        """The sum of all prices."""
        total = ZERO
        for product, count in self.lines():
            total += product.price * count
        return total

    def __len__(self) -> int:
        return sum(self._counts.values())

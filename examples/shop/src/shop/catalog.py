"""What the shop sells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shop.errors import UnknownProduct
from shop.money import Money


@dataclass(frozen=True)
class Product:
    """One thing to buy; `sku` is its short, unique name."""

    sku: str
    name: str
    price: Money
    tags: frozenset[str] = field(default_factory=frozenset)
    weight_g: int = 0


class Catalog:
    """The products by sku, in the order in which they were added."""

    def __init__(self, products: Iterable[Product] = ()):
        self._products: dict[str, Product] = {}
        for product in products:
            self.add(product)

    def add(self, product: Product) -> None:
        """Adds a product; its sku must be new."""
        if product.sku in self._products:
            raise ValueError(f"{product.sku!r} is there already")
        self._products[product.sku] = product

    def get(self, sku: str) -> Product:
        """The product, or UnknownProduct."""
        try:
            return self._products[sku]
        except KeyError:
            raise UnknownProduct(sku) from None

    def tagged(self, tag: str) -> list[Product]:
        """The products that carry a tag."""
        return [product for product in self if tag in product.tags]

    def __iter__(self) -> Iterator[Product]:
        return iter(self._products.values())

    def __len__(self) -> int:
        return len(self._products)

"""Errors that a customer can cause; their messages may be shown as they are."""


class ShopError(Exception):
    """The base of all errors of this package."""


class UnknownProduct(ShopError):
    """A product that the catalogue does not have."""

    def __init__(self, sku: str):
        super().__init__(f"there is no product {sku!r}")
        self.sku = sku


class OutOfStock(ShopError):
    """More was asked for than there is."""

    def __init__(self, sku: str, wanted: int, available: int):
        super().__init__(f"only {available} of {sku!r} left, {wanted} wanted")
        self.sku = sku
        self.wanted = wanted
        self.available = available

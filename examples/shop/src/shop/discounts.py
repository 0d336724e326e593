"""Rules that take something off a cart's total."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from shop.cart import Cart
from shop.money import ZERO, Money


class Discount(Protocol):
    """A rule: how much it takes off this cart."""

    def amount(self, cart: Cart) -> Money: ...


class PercentOff:
    """A share of the whole cart."""

    def __init__(self, percent: int):
        if not 0 < percent <= 100:
            raise ValueError("a discount is between 1 and 100 percent")
        self.percent = percent

    def amount(self, cart: Cart) -> Money:
        return cart.total().percent(self.percent)


class TagPercentOff(PercentOff):
    """A share of the products that carry a tag."""

    def __init__(self, tag: str, percent: int):
        super().__init__(percent)
        self.tag = tag

    def amount(self, cart: Cart) -> Money:
        total = ZERO
        for product, count in cart.lines():
            if self.tag in product.tags:
                total += product.price * count
        return total.percent(self.percent)


def best_discount(cart: Cart, discounts: Iterable[Discount]) -> Money:
    """The largest of the discounts; discounts do not add up."""
    return max((discount.amount(cart) for discount in discounts), default=ZERO)

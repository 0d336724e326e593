"""From a cart to an order."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from shop.cart import Cart
from shop.discounts import Discount, best_discount
from shop.errors import ShopError
from shop.money import Money
from shop.stock import Stock


@dataclass(frozen=True)
class OrderLine:
    """One product of an order, at the price of that day."""

    sku: str
    name: str
    count: int
    price: Money

    def total(self) -> Money:
        return self.price * self.count


@dataclass(frozen=True)
class Order:
    """What was bought; never changes."""

    number: str
    day: datetime.date
    lines: tuple[OrderLine, ...]
    discount: Money

    def total(self) -> Money:
        """What is to be paid."""
        total = Money(0, self.discount.currency)
        for line in self.lines:
            total += line.total()
        return total - self.discount


def order_number(day: datetime.date, sequence: int) -> str:
    """The day and a running number: 2024-0131-0007."""
    return f"{day.year}-{day:%m%d}-{sequence:04d}"


def place_order(
    cart: Cart, stock: Stock, day: datetime.date, sequence: int, discounts: Iterable[Discount] = ()
) -> Order:
    """Takes the cart's products from the stock and makes the order."""
    if not cart.lines():
        raise ShopError("the cart is empty")
    lines = tuple(OrderLine(product.sku, product.name, count, product.price) for product, count in cart.lines())
    stock.take({line.sku: line.count for line in lines})
    return Order(order_number(day, sequence), day, lines, best_discount(cart, discounts))

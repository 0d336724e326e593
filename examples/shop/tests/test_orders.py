import datetime

import pytest

from shop.cart import Cart
from shop.discounts import PercentOff
from shop.errors import ShopError
from shop.money import Money
from shop.orders import order_number, place_order
from shop.stock import Stock

DAY = datetime.date(2024, 1, 31)


def test_numbers_carry_the_day():
    assert order_number(DAY, 7) == "2024-0131-0007"


def test_an_order_takes_from_the_stock(catalog):
    cart = Cart(catalog)
    cart.add("tea", 2)
    stock = Stock({"tea": 5})
    order = place_order(cart, stock, DAY, 1, [PercentOff(10)])
    assert order.total() == Money(810)
    assert stock.available("tea") == 3


def test_an_empty_cart_is_no_order(catalog):
    with pytest.raises(ShopError):
        place_order(Cart(catalog), Stock(), DAY, 1)

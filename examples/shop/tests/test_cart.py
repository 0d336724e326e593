import pytest

from shop.cart import Cart
from shop.errors import UnknownProduct
from shop.money import Money


def test_total_of_all_lines(catalog):
    cart = Cart(catalog)
    cart.add("tea", 2)
    cart.add("cup")
    cart.add("tea")
    assert cart.total() == Money(3 * 450 + 1290)
    assert len(cart) == 4


def test_an_empty_cart_costs_nothing(catalog):
    assert Cart(catalog).total() == Money(0)


def test_removing_takes_the_whole_line(catalog):
    cart = Cart(catalog)
    cart.add("tea", 2)
    cart.remove("tea")
    cart.remove("cup")
    assert cart.lines() == []


def test_wrong_additions(catalog):
    cart = Cart(catalog)
    with pytest.raises(UnknownProduct):
        cart.add("milk")
    with pytest.raises(ValueError):
        cart.add("tea", 0)

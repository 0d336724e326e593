import pytest

from shop.cart import Cart
from shop.discounts import PercentOff, TagPercentOff, best_discount
from shop.money import Money


@pytest.fixture
def cart(catalog):
    cart = Cart(catalog)
    cart.add("tea", 2)
    cart.add("cup")
    return cart


def test_percent_of_everything(cart):
    assert PercentOff(10).amount(cart) == Money(219)


def test_percent_of_tagged_products(cart):
    assert TagPercentOff("drink", 50).amount(cart) == Money(450)
    assert TagPercentOff("toy", 50).amount(cart) == Money(0)


def test_the_best_discount_counts_alone(cart):
    assert best_discount(cart, [PercentOff(10), TagPercentOff("drink", 50)]) == Money(450)
    assert best_discount(cart, []) == Money(0)


@pytest.mark.parametrize("percent", [0, 101, -5])
def test_percentages_have_bounds(percent):
    with pytest.raises(ValueError):
        PercentOff(percent)

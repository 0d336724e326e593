import pytest

from shop.catalog import Catalog, Product
from shop.money import Money


@pytest.fixture
def catalog():
    return Catalog(
        [
            Product("tea", "Green tea", Money(450), frozenset({"drink"}), weight_g=100),
            Product("cup", "Cup", Money(1290), weight_g=320),
            Product("cocoa", "Cocoa", Money(399), frozenset({"drink", "sale"}), weight_g=250),
        ]
    )

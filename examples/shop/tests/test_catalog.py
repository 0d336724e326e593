import pytest

from shop.catalog import Product
from shop.errors import UnknownProduct
from shop.money import Money


def test_products_are_found_by_sku(catalog):
    assert catalog.get("tea").name == "Green tea"
    assert len(catalog) == 3


def test_a_product_that_is_missing(catalog):
    with pytest.raises(UnknownProduct, match="'milk'"):
        catalog.get("milk")


def test_a_sku_is_unique(catalog):
    with pytest.raises(ValueError):
        catalog.add(Product("tea", "Black tea", Money(400)))


def test_tags_select_products(catalog):
    assert [product.sku for product in catalog.tagged("drink")] == ["tea", "cocoa"]

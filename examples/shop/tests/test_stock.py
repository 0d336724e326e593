import pytest

from shop.errors import OutOfStock
from shop.stock import Stock


def test_put_and_take():
    stock = Stock({"tea": 3})
    stock.put("tea", 2)
    stock.take({"tea": 4})
    assert stock.available("tea") == 1


def test_too_little():
    with pytest.raises(OutOfStock, match="only 1 of 'tea' left, 2 wanted"):
        Stock({"tea": 1}).take({"tea": 2})


def test_nothing_was_put_in():
    assert Stock().available("tea") == 0
    with pytest.raises(ValueError):
        Stock().put("tea", 0)

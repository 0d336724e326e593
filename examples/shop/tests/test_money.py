from fractions import Fraction

import pytest

from shop.money import Money


@pytest.mark.parametrize(
    "cents, shown", [(0, "0.00 EUR"), (5, "0.05 EUR"), (1234, "12.34 EUR"), (-250, "-2.50 EUR")]
)
def test_shown_with_two_decimals(cents, shown):
    assert str(Money(cents)) == shown


def test_sums_and_products():
    assert Money(100) + Money(50) - Money(30) * 2 == Money(90)


def test_currencies_do_not_mix():
    with pytest.raises(ValueError):
        Money(1, "EUR") + Money(1, "USD")


def test_cents_are_whole():
    with pytest.raises(TypeError):
        Money(1.5)


@pytest.mark.parametrize(
    "cents, rate, expected", [(1000, 15, 150), (999, 50, 500), (-999, 50, -500), (1000, Fraction(1, 3), 3)]
)
def test_percent_rounds_half_away_from_zero(cents, rate, expected):
    assert Money(cents).percent(rate) == Money(expected)

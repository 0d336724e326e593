import pytest

from shop.text import plural, shorten


@pytest.mark.parametrize(
    "text, width, expected",
    [("tea", 3, "tea"), ("green tea", 7, "green…"), ("green tea", 6, "green…"), ("tea", 1, "…")],
)
def test_shorten(text, width, expected):
    assert shorten(text, width) == expected


def test_shorten_needs_room():
    with pytest.raises(ValueError):
        shorten("tea", 0)


def test_plural():
    assert [plural(1, "item"), plural(2, "item"), plural(0, "box", "boxes")] == ["1 item", "2 items", "0 boxes"]

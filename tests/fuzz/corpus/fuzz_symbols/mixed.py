"""Doc."""
# c0
import os, sys as s
from . import x
from ..a.b import (c as d, e)
from z import *
from __future__ import annotations
x: int = 3
y: str
a, b = 1, 2
p = q = 4

# touching
@dec(1)
# between
@dec2
async def f(a, b=1, *c):  # tail
    # first comment
    """Doc of f."""
    return 1
    # trailing comment in body

# free comment
class A(B):
    z = 1
    def m(self): pass
    # end of class comment
# dedented touching g
def g(): return 1; x = 3
try:
    import foo
except ImportError:
    foo = None
if TYPE_CHECKING:
    import bar
type T = int
a; b
print "x"
class E:

"""What the tests of this room stand on: a small shop with its files, its lake and its home.

Add here what two files of this folder need. Must not hold an expectation.
"""

from tests.small_shop import new_shop, shop

__all__ = ["new_shop", "shop"]

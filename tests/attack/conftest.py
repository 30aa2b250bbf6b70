"""The shop of the lake's tests, for attacks that go through the real land, conform and gate.

Here lives only what attacks borrow; add a fixture where it is at home and borrow it here. Must not hold an attack.
"""

from tests.small_shop import new_shop, shop

__all__ = ["new_shop", "shop"]

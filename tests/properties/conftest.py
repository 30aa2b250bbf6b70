"""What the properties share with other folders: the campaign tool on this machine.

Add here what two properties need. Must not hold an oracle.
"""

from tests.deliver.conftest import serve

__all__ = ["serve"]

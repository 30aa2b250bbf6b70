"""One contestant in a process of its own: name, inputs, outputs, date.

Add an argument here when `run` asks for one. Must not compare anything.
"""

import sys
from datetime import date
from pathlib import Path

from tests.bench.contestants import run

run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), date.fromisoformat(sys.argv[4]))

"""`python -m userops_pipeline.cli` is `userops`."""

from userops_pipeline.cli import entry

entry()

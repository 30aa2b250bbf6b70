"""The checks of the rulebook by subject; `rulebook.check` asks them all.

Add a file for a new subject, and its line in `check`. Must not be called from elsewhere.
"""

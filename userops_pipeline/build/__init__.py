"""Build: from the lake to the warehouse: the clock, its legs, and the engine that makes the tables.

Add here what every build needs, whichever engine.
Must not know a table of a subject.
"""

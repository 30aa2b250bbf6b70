"""Templates: the kinds of shop that come with the engine, how a shop is begun from one, and how a shop is held against one later.

Here lives a folder per kind (its rules, or what differs from another kind's, a source and its sample files), what reads them (kinds), what writes a
shop (start) and what compares (compare). Add a folder for a new kind of shop. Must not run a night, nor know what a rule means.
"""

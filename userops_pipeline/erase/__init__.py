"""Erase: one person taken out of everything that a home holds.

Add here a place that may hold a person.
Must not decide who asks: a request comes from outside.
"""

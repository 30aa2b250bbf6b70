"""Conclude: from counts to conclusions: what SQL counted is fitted and tested here, and written back as tables like any other.

Add here a conclusion with what it reads, its rules and its checks.
Must not count rows, nor hold a formula: statistics live in stats.
"""

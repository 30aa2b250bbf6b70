"""Publish: from the warehouse to a generation that readers see: its files, manifest, dictionary, pictures and review.

Add here what readers of a night get.
Must not change a number.
"""

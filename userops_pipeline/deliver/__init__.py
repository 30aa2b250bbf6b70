"""Deliver: from a generation to campaign tools: the lists, who may be contacted, the difference, the ledger, and each tool.

Add here what holds for every list; a tool has its own file in destinations.
Must not decide who is on a list: dbt does.
"""

"""Ground: what every room stands on: the home and its lake, the contract, addresses, SQL as text, words, verdicts, named faults.

Add here what two rooms need and none owns.
Must not know a step of the night or a rule.
"""

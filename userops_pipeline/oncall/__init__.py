"""On call: what each run did, what is wrong in a home, and how a person hears of it.

Add here what somebody who is woken at night wants to know.
Must not mend anything.
"""

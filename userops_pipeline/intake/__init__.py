"""Intake: from files to the lake. A source is read, landed, bound to the contract, conformed and judged by the gate.

Add here what happens to a delivered record before any table is built of it.
Must not know dbt, a rule or a list.
"""

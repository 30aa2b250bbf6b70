"""The rulebook: every business rule of the project, read from the files of a shop, judged, previewed and explained, and handed to dbt.

Here live the kinds of rules (kinds) and all of them together (book), how they are read (rule_files, declarations, reading), what judges one
condition (condition) and them all (check, by subject in checks), what dbt is given (project), and what answers a person's questions (answers, in
words by render and speech); a new kind of rule has its type, its line in places and its checks under the name of its subject in kinds and checks.
Must not hold a rule itself (those live in the rules of a shop) nor know Dagster, dbt's Python or a single destination.
"""

from userops_pipeline.rulebook.answers import Explanation, Preview, RuleRow, explain, list_rules, preview
from userops_pipeline.rulebook.book import Rulebook, from_json, to_json
from userops_pipeline.rulebook.check import check
from userops_pipeline.rulebook.kinds.rule import condition_text
from userops_pipeline.rulebook.problem import Problem, RuleError
from userops_pipeline.rulebook.reading import load

__all__ = [
    "Explanation",
    "Preview",
    "Problem",
    "RuleError",
    "RuleRow",
    "Rulebook",
    "check",
    "condition_text",
    "explain",
    "from_json",
    "list_rules",
    "load",
    "preview",
    "to_json",
]

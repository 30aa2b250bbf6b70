"""The rulebook: every business rule of the project, read from dbt's manifest, judged, previewed and explained.

Here live the kinds of rules (kinds) and all of them together (book), what reads them (manifest), judges one condition (condition), judges them
all (check, by subject in checks), judges the YAML files themselves (project_files) and answers a person's questions (answers, in words by render
and speech); a new kind of rule has its type, its line and its checks under the name of its subject in kinds and checks.
Must not hold a rule itself (those live in the YAML beside their table) nor know Dagster, dbt's Python or a single destination.
"""

from userops_pipeline.rulebook.answers import Explanation, Preview, RuleRow, explain, list_rules, preview
from userops_pipeline.rulebook.book import Rulebook, from_json, to_json
from userops_pipeline.rulebook.check import check
from userops_pipeline.rulebook.kinds.rule import condition_text
from userops_pipeline.rulebook.manifest import load
from userops_pipeline.rulebook.problem import Problem, RuleError
from userops_pipeline.rulebook.project_files import check_yaml_files, with_lines

__all__ = [
    "Explanation",
    "Preview",
    "Problem",
    "RuleError",
    "RuleRow",
    "Rulebook",
    "check",
    "check_yaml_files",
    "condition_text",
    "explain",
    "from_json",
    "list_rules",
    "load",
    "preview",
    "to_json",
    "with_lines",
]

"""The rulebook: every business rule of the project, read from dbt's manifest, judged, previewed and explained.

Here lives what reads the rules (model), judges one condition (condition), judges them all (check), judges the YAML files themselves
(project_files) and answers a person's questions (answers); add here when a new kind of rule or question comes.
Must not hold a rule itself (those live in the YAML beside their table) nor know Dagster, dbt's Python or a single destination.
"""

from userops_pipeline.core.rulebook.answers import Explanation, Preview, RuleRow, explain, list_rules, preview
from userops_pipeline.core.rulebook.check import check
from userops_pipeline.core.rulebook.model import Problem, Rulebook, RuleError, condition_text, from_json, load, to_json
from userops_pipeline.core.rulebook.project_files import check_yaml_files, with_lines

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

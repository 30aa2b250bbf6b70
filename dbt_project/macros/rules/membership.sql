{#- What the ladder of levels measures: a column of int_user_features, in points or money. -#}
{% macro level_measure() -%} {{ return(rules_of_user_membership()["measure"]) }} {%- endmacro %}

{#-
    The levels from the highest down to the one everybody has, as declared at user_membership, each with the rule its numbers make: it is
    reached at `reach` and kept down to `keep`; `place` counts from below, `above` is the next level up.
-#}
{% macro levels() -%}
    {%- set found = [] -%}
    {%- for level in rules_of_user_membership()["levels"] -%}
        {%- set rule = dict(level, place=loop.revindex, above=found[-1] if found else none) -%}
        {%- if loop.last -%} {%- do rule.update({"when": "true"}) -%}
        {%- else -%}
            {%- do rule.update(
                {
                    "when": level_measure() ~ " >= " ~ level["reach"],
                    "stays_when": level_measure() ~ " >= " ~ level.get("keep", level["reach"]),
                }
            ) -%}
        {%- endif -%}
        {%- do found.append(rule) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#- What rules may ask beside the level: how much of the next one a user has, and when the level ends. -#}
{% macro level_columns() -%}
    {{ return(["next_level_share", "days_to_level_end"] if "level" in ladders() else []) }}
{%- endmacro %}

{#- Points a user earned and gave back on a day of int_user_day, by the rules declared at user_membership. -#}
{% macro points() -%}
    cast(
        floor(
            0 {%- for rule in rules_of_user_membership()["points"] %} + ({{ rule["points"] }}) {%- endfor %}
        ) as bigint
    )
{%- endmacro %}

{#- The benefits in the order they are tried, as declared at membership_benefits. -#}
{% macro benefits() -%} {{ return(rules_of_membership_benefits()["benefits"]) }} {%- endmacro %}

{#- Candidates, outcomes and what makes users alike, as declared at key_behaviours. -#}
{% macro key_behaviour_rules() -%}
    {{
        return(
            declared("key_behaviours").config.meta["key_behaviours"]
            if execute
            else {
                "cohort_days": 1,
                "counts": [1],
                "within_days": [1],
                "behaviours": [{"name": "none", "label": "", "measure": "active_days"}],
                "outcomes": [{"name": "none", "label": "", "activity": "active", "from_day": 1, "to_day": 1}],
                "adjust_for": [{"measure": "active_days", "bounds": [1]}],
                "least_users": 1,
                "least_expected": 1,
                "false_discovery_rate": 0.05,
                "chosen": [],
            }
        )
    }}
{%- endmacro %}

{#- The key behaviours chosen, in the order of the value chain, each with the measure its behaviour is counted by. -#}
{% macro value_chain() -%}
    {%- set rules = key_behaviour_rules() -%}
    {%- set found = [] -%}
    {%- for step in rules["chosen"] -%}
        {%- for behaviour in rules["behaviours"] if behaviour["name"] == step["behaviour"] -%}
            {%- do found.append(dict(step, measure=behaviour["measure"])) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#-
    A ladder is a list of states of which every user has exactly one each night: the first, in order, whose rule is on. Its name is
    the column of int_user_state that holds the state; its states are declared at the model that shows them.
-#}
{% macro ladders() -%}
    {{
        return(
            {
                "stage": "user_lifecycle",
                "plan_state": "user_plan_state",
                "tier": "user_tier",
                "level": "user_membership",
            }
        )
    }}
{%- endmacro %}

{#- The states of a ladder in the order they are tried. -#}
{% macro states_of(ladder) -%}
    {%- if ladder == "level" -%} {{ return(levels()) }}
    {%- elif ladder == "stage" -%} {{ return(rules_of_user_lifecycle()["stages"]) }}
    {%- elif ladder == "plan_state" -%} {{ return(rules_of_user_plan_state()["stages"]) }}
    {%- else -%} {{ return(rules_of_user_tier()["stages"]) }}
    {%- endif -%}
{%- endmacro %}

{#-
    The night on which a state ends whose rule was on from `from_on` until before `to_on`: at once, unless it states how long it is valid
    from when it was reached (`valid_days` or `valid_months`), or `grace_days` that follow.
-#}
{% macro state_ends_on(state) -%}
    {%- if "valid_months" in state -%}
        {%- set kept = "greatest(to_on, " ~ months_after("from_on", state["valid_months"]) ~ ")" -%}
        {%- elif "valid_days" in state -%}
        {%- set kept = "greatest(to_on, " ~ days_after("from_on", state["valid_days"]) ~ ")" -%}
    {%- else -%} {%- set kept = "to_on" -%}
    {%- endif -%}
    {{ return(days_after(kept, state.get("grace_days", 0))) }}
{%- endmacro %}

{#- The states, with the rule each has in int_user_latch, that outlast it: they state a validity or a grace. -#}
{% macro lasting_states() -%}
    {%- set found = {} -%}
    {%- for ladder in ladders() -%}
        {%- for state in states_of(ladder) if "grace_days" in state or "valid_days" in state or "valid_months" in state -%}
            {%- do found.update({ladder ~ " " ~ state["name"]: state}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#-
    The rules with a memory (`stays_when` beside `when`), of ladders and tags: `rule`, its name in int_user_latch, `when`, `stays_when`.
-#}
{% macro latches() -%}
    {%- set found = [] -%}
    {%- for ladder in ladders() -%}
        {%- for state in states_of(ladder) if "stays_when" in state -%}
            {%- do found.append(dict(state, rule=ladder ~ " " ~ state["name"])) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for tag in tags() if "stays_when" in tag -%}
        {%- do found.append(dict(tag, rule="tag " ~ tag["name"])) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#- Tags with a memory, by name. -#}
{% macro latched_tags() -%}
    {{ return(tags() | selectattr("stays_when", "defined") | map(attribute="name") | list) }}
{%- endmacro %}

{#- What people call a state. -#}
{% macro state_label(ladder, state) -%}
    case
        {%- for each in states_of(ladder) %}
            when {{ state }} = {{ text_literal(each["name"]) }} then {{ text_literal(each["label"]) }}
        {%- endfor %}
    end
{%- endmacro %}

{#- A rule as people read it: when it is switched on and, where it has a memory, as long as what it stays on. -#}
{% macro rule_text(rule) -%}
    {{- return(rule["when"] ~ ("; stays while " ~ rule["stays_when"] if "stays_when" in rule else "")) -}}
{%- endmacro %}

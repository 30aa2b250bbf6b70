{#-
    A ladder is a list of states of which every user has exactly one each night: the first, in order, whose rule is on. Its name is
    the column of int_user_state that holds the state; its states are declared at the model that shows them.
-#}
{% macro ladders() -%} {{ return({"stage": "user_lifecycle", "plan_state": "user_plan_state"}) }} {%- endmacro %}

{#- The states of a ladder in the order they are tried. -#}
{% macro states_of(ladder) -%}
    {{ return(declared(ladders()[ladder]).config.meta["stages"] if execute else []) }}
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

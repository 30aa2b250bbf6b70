{#- Candidates, outcomes and what makes users alike, as declared at key_behaviours. -#}
{% macro key_behaviour_rules() -%} {{ return(rules_of_key_behaviours()["key_behaviours"]) }} {%- endmacro %}

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

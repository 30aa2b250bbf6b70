{#- The lifecycle stages in the order they are tried, as declared at user_lifecycle. -#}
{% macro stages() -%} {{ return(declared("user_lifecycle").config.meta["stages"] if execute else []) }} {%- endmacro %}

{#- The stage of a row of int_user_features: the first that matches. -#}
{% macro stage_of() -%}
    case {%- for stage in stages() %} when {{ stage["when"] }} then {{ text_literal(stage["name"]) }} {%- endfor %} end
{%- endmacro %}

{#- The tags as declared at the columns of user_tags: name, label, family, when. -#}
{% macro tags() -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for column in declared("user_tags").columns.values() if "when" in column.config.meta -%}
            {%- do found.append(dict(column.config.meta, name=column.name)) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}

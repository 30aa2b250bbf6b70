{#- JSON and lists as text, as each engine writes them. -#}
{#- A JSON object as text from entries of (name, SQL expression, its type), keys in the given order; a decimal has all its places. -#}
{% macro json_object(entries) -%} {{ return(adapter.dispatch("json_object", "userops")(entries)) }} {%- endmacro %}

{#- DuckDB writes a decimal of 15 digits or fewer as a double (0.5), a wider one as it is (0.500000); made wide, all are written alike. -#}
{% macro duckdb__json_object(entries) -%}
    cast(
        json_object(
            {%- for name, expression, type in entries %}
                {%- if type.startswith("decimal") %}
                    {%- set expression = "cast(" ~ expression ~ " as decimal(38," ~ type.split(",")[1] ~ ")" -%}
                {%- endif %}
                {{ text_literal(name) }},
                {{ expression }}{{ ", " if not loop.last }}
            {% endfor -%}
        ) as varchar
    )
{%- endmacro %}

{% macro spark__json_object(entries) -%}
    to_json(
        named_struct(
            {%- for name, expression, type in entries %}
                {{ text_literal(name) }}, {{ expression }}{{ ", " if not loop.last }}
            {% endfor -%}
        ),
        map('ignoreNullFields', 'false', 'timestampNTZFormat', 'yyyy-MM-dd HH:mm:ss')
    )
{%- endmacro %}

{#- The values of a group as one text in the given order. -#}
{% macro listagg(expression, separator, order_by) -%}
    {{ return(adapter.dispatch("listagg", "userops")(expression, separator, order_by)) }}
{%- endmacro %}

{% macro duckdb__listagg(expression, separator, order_by) -%}
    string_agg({{ expression }}, {{ text_literal(separator) }} order by {{ order_by }})
{%- endmacro %}

{% macro spark__listagg(expression, separator, order_by) -%}
    listagg({{ expression }}, {{ text_literal(separator) }}) within group (order by {{ order_by }})
{%- endmacro %}

{#- A SQL text literal of any text. -#}
{% macro text_literal(text) -%} {{ return(adapter.dispatch("text_literal", "userops")(text)) }} {%- endmacro %}

{% macro duckdb__text_literal(text) -%} {{ return("'" ~ text | string | replace("'", "''") ~ "'") }} {%- endmacro %}

{% macro spark__text_literal(text) -%}
    {{ return("'" ~ text | string | replace("\\", "\\\\") | replace("'", "\\'") ~ "'") }}
{%- endmacro %}

{#- A text that sorts like a non-negative amount and, where amounts tie, like the text behind it: its max carries the text of the greatest. -#}
{% macro ranked_text(amount, text) -%}
    lpad(cast(cast({{ amount }} * 100 as bigint) as string), 18, '0') || {{ text }}
{%- endmacro %}

{#- The two parts of a ranked text. -#}
{% macro ranked_amount(ranked) -%}
    cast(cast(substr({{ ranked }}, 1, 18) as bigint) / 100.0 as decimal(18, 2))
{%- endmacro %}

{% macro ranked_tail(ranked) -%} substr({{ ranked }}, 19) {%- endmacro %}

{#- One thing to order by that is made of several: min_by and max_by take the later ones where the first ones tie. -#}
{% macro in_order(expressions) -%} {{ return(adapter.dispatch("in_order", "userops")(expressions)) }} {%- endmacro %}

{% macro duckdb__in_order(expressions) -%} row({{ expressions | join(", ") }}) {%- endmacro %}

{% macro spark__in_order(expressions) -%} struct({{ expressions | join(", ") }}) {%- endmacro %}

{#- SQL text literals, for `in (…)`; of no text, null, which is in nothing. -#}
{% macro text_list(texts) -%}
    {%- set literals = [] -%}
    {%- for text in texts -%} {%- do literals.append(text_literal(text)) -%} {%- endfor -%}
    {{ return(literals | join(", ") or "null") }}
{%- endmacro %}

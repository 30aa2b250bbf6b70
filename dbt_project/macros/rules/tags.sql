{#-
    The tags as declared: name, label, family, when; `precedence` says whose word counts where an agent
    has spoken, and `version` changes with the text of the rule.
-#}
{% macro tags() -%}
    {%- set found = [] -%}
    {%- for tag in rules_of_tags() -%}
        {%- do found.append(
            dict(
                tag,
                precedence=tag.get("precedence", "manual"),
                version=local_md5(rule_text(tag) | string)[:8],
            )
        ) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#-
    Whether a user carries a tag: what an agent said (`said_<tag>`: true, false, or null for nothing) and what the rule says (with a
    memory: `latched_<tag>`), the one of precedence first; what neither knows is false.
-#}
{% macro carries(tag) -%}
    {%- set rule = "latched_" ~ tag["name"] if "stays_when" in tag else "(" ~ tag["when"] ~ ")" -%}
    {%- set words = ["said_" ~ tag["name"], rule] -%}
    coalesce({{ (words if tag["precedence"] == "manual" else words | reverse | list) | join(", ") }}, false)
{%- endmacro %}

{#- Tags are packed as bits into whole numbers, sixty to a word unless said otherwise, so that a user's tags compare and sort as few numbers. -#}
{% macro tag_words(size=60) -%} {{ return(range((tags() | length + size - 1) // size) | list) }} {%- endmacro %}

{#- One word of the tags of a row that has them as columns. -#}
{% macro tag_word(word, size=60) -%}
    cast(0 as bigint)
    {%- for tag in tags()[word * size : (word + 1) * size] %}
        + case when {{ tag["name"] }} then {{ 2**loop.index0 }} else 0 end
    {%- endfor %}
{%- endmacro %}

{#- One row per tag: its name, the word it is in, and its bit there. -#}
{% macro tag_bits(size=60) -%}
    {%- for tag in tags() %}
        select
            {{ text_literal(tag["name"]) }} as tag,
            {{ loop.index0 // size }} as word,
            cast({{ 2 ** (loop.index0 % size) }} as bigint) as bit,
            {{ text_literal(tag["version"]) }} as rule_version
            {{- " union all" if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- Whether the bit of a row of tag_bits is set in words named `<name>_<number>`. -#}
{% macro has_bit(name, word="word", bit="bit") -%}
    (
        case
            {{ word }} {%- for number in tag_words() %} when {{ number }} then {{ name }}_{{ number }} {%- endfor %}
        end
        & {{ bit }}
    )
    <> 0
{%- endmacro %}

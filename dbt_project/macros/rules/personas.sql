{#- How personas are made, as declared at segment_personas: the attributes, the least sizes, the rate of false discoveries. -#}
{% macro persona_rules() -%} {{ return(rules_of_segment_personas()["personas"]) }} {%- endmacro %}

{#- The columns a text of SQL names that are in `known`. -#}
{% macro named_in(text, known) -%}
    {%- set found = [] -%}
    {%- for word in modules.re.findall("[a-z_][a-z0-9_]*", modules.re.sub("'[^']*'", "", text | string)) -%}
        {%- if word in known and word not in found -%} {%- do found.append(word) -%} {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#- Measures that a text of SQL reads: the columns it names, without their windows, and those that ladders, points and what is paid for are made of. -#}
{% macro measures_in(text) -%}
    {%- set found = [] -%}
    {%- for column in named_in(
        text, (columns_of_int_user_features() | list) + (ladders().keys() | list) + level_columns()
    ) -%}
        {%- set measure = modules.re.sub("_[0-9]+d$", "", column) -%}
        {%- do found.append(measure) -%}
        {%- set ladder = "level" if column in level_columns() else column -%}
        {%- if ladder in ladders() -%}
            {%- for state in states_of(ladder) -%} {%- do found.extend(measures_in(rule_text(state))) -%} {%- endfor -%}
        {%- elif measure == "days_since_paid" -%} {%- do found.append("days_since_order") -%}
        {%- elif measure == "point_count" -%}
            {%- for rule in rules_of_user_membership()["points"] -%}
                {%- do found.extend(measures_in(rule["points"])) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found | unique | list) }}
{%- endmacro %}

{#-
    Traits that a segment is made of: tags and attributes over a measure that its steps read, themselves, through a tag or through the
    stage. That they are more or less common in it says nothing of the people.
-#}
{% macro traits_by_rule(segment) -%}
    {%- set by_name = {} -%}
    {%- for tag in tags() -%} {%- do by_name.update({tag["name"]: measures_in(rule_text(tag))}) -%} {%- endfor -%}
    {%- set text = segment["steps"] | join(" ") -%}
    {%- set named = named_in(text, by_name.keys() | list) -%}
    {%- set read = measures_in(text) -%}
    {%- for tag in named -%} {%- do read.extend(by_name[tag]) -%} {%- endfor -%}
    {%- for tag, measures in by_name.items() if tag not in named and measures | select("in", read) | list -%}
        {%- do named.append(tag) -%}
    {%- endfor -%}
    {{ return(named + (persona_rules()["attributes"] | map(attribute="name") | select("in", read) | list)) }}
{%- endmacro %}

{#- How many of the rows carry each tag, in a column of the tag's name. -#}
{% macro tag_counts() -%}
    {%- for tag in tags() %}
        cast(sum(case when {{ tag["name"] }} then 1 else 0 end) as bigint) as {{ tag["name"] }}
        {{- "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

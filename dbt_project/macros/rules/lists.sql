{#- The lists as declared by the exposures that depend on audiences: name, tool, segment and the rest of their meta, by name. -#}
{% macro contact_lists() -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for exposure in graph.exposures.values() | sort(attribute="name") if "model.userops.audiences" in exposure.depends_on.nodes -%}
            {%- do found.append(dict(exposure.config.meta, name=exposure.name)) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}

{#- One row per list. -#}
{% macro contact_list_rows() -%}
    {%- set columns = ["tool", "segment", "mode", "match_key", "channel", "purpose"] -%}
    {%- for list in contact_lists() %}
        select
            {{ text_literal(list["name"]) }} as audience,
            {%- for column in columns %}
                {{ text_literal(list[column]) }} as {{ column }}{{ "," if not loop.last }}
            {%- endfor %}
            {{ "union all " if not loop.last }}
    {%- else %}
        select
            {{ "cast(null as string) as audience" }}
            {%- for column in columns %}, cast(null as string) as {{ column }}
            {%- endfor %}
        where false
    {%- endfor %}
{%- endmacro %}

{#- The channels (or purposes) of all lists as text literals: written out, they are asked for where the files are read. -#}
{% macro listed(column) -%} {{ return(text_list(contact_lists() | map(attribute=column) | unique)) }} {%- endmacro %}

{#- What identifies a user in the tool, for a row with match_key, user_id and the contact columns. -#}
{% macro match_value(point) -%}
    case
        match_key
        when 'user_id'
        then {{ point }}.user_id
        when 'email'
        then {{ point }}.email
        when 'phone'
        then {{ point }}.phone
        when 'contact_point'
        then {{ point }}.contact_point
    end
{%- endmacro %}

{#- Addresses are compared without regard to case and outer spaces, so that an opt-out is never missed. -#}
{% macro same_point(contact_point) -%} lower(trim({{ contact_point }})) {%- endmacro %}

{#- The fields of a list as JSON text: contact columns from `points`, others from the first of profile, tags and lifecycle that has them. -#}
{% macro list_fields(fields) -%}
    {%- set entries = [] -%}
    {%- for name, column in (fields or {}).items() -%}
        {%- if column in ["contact_point", "email", "phone", "name"] -%}
            {%- do entries.append((name, "points." ~ column, "string")) -%}
        {%- elif column in columns_of("user_profile") -%}
            {%- do entries.append((name, "profile." ~ column, type_of("user_profile", column))) -%}
        {%- elif column in columns_of("user_tags") -%}
            {%- do entries.append((name, "tags." ~ column, type_of("user_tags", column))) -%}
        {%- else -%} {%- do entries.append((name, "lifecycle." ~ column, type_of("user_lifecycle", column))) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(json_object(entries) if entries else "'{}'") }}
{%- endmacro %}

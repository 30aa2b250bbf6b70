{#- The lists as declared: name, tool, segment and the rest, by name. -#}
{% macro contact_lists() -%} {{ return(rules_of_lists()) }} {%- endmacro %}

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
        {%- elif column in columns_of_user_profile() -%}
            {%- do entries.append((name, "profile." ~ column, columns_of_user_profile()[column])) -%}
        {%- elif column in columns_of_user_tags() -%}
            {%- do entries.append((name, "tags." ~ column, columns_of_user_tags()[column])) -%}
        {%- else -%} {%- do entries.append((name, "lifecycle." ~ column, columns_of_user_lifecycle()[column])) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(json_object(entries) if entries else "'{}'") }}
{%- endmacro %}

{#-
    The second judge of who may be contacted, for data tests: of `contacts` (a select of asked_for, user_id, channel, purpose and point)
    those that the raw rows forbid: consents, suppressions and what messages were answered with. Written beside int_contact_permission and without it: a fault in the one is seen by the other.
-#}
{% macro forbidden_contacts(contacts) -%}
    {%- set always = "cast('9999-12-31 00:00:00' as timestamp)" -%}
    with
        clock as (select as_of from {{ ref("int_clock") }}),
        contacts as ({{ contacts }}),
        merges as (select user_id, survivor_id from {{ ref("int_user_merge") }}),
        said as (
            select
                user_id,
                channel,
                purpose,
                lower(trim(contact_point)) as point,
                max(case when state = 'subscribed' then changed_at end) as yes_at,
                max(case when state = 'did_not_subscribe' then changed_at end) as no_at,
                max(case when state not in ('subscribed', 'did_not_subscribe') then changed_at end) as stop_at
            from {{ source("raw", "consents") }}
            where arrived_on <= (select as_of from clock)
            group by user_id, channel, purpose, lower(trim(contact_point))
        ),
        asked as (
            select contacts.asked_for, contacts.user_id, contacts.channel, contacts.purpose, contacts.point, said.yes_at
            from contacts
            left join
                said
                on contacts.user_id = said.user_id
                and contacts.channel = said.channel
                and contacts.purpose = said.purpose
                and contacts.point = said.point
                and said.yes_at > coalesce(said.no_at, cast('0001-01-01 00:00:00' as timestamp))
                and said.yes_at > coalesce(said.stop_at, cast('0001-01-01 00:00:00' as timestamp))
        ),
        withdrawn as (
            select distinct channel, purpose, point
            from said
            where stop_at >= coalesce(yes_at, stop_at) and stop_at >= coalesce(no_at, stop_at)
        ),
        versions as (
            select
                user_id,
                lower(trim(contact_point)) as point,
                channel,
                purpose,
                coalesce(said_at, {{ always }}) as said_at,
                reason,
                row_number() over (
                    partition by source_name, suppression_id order by arrived_on desc, source_row desc, source_file desc
                ) as version_rank
            from {{ source("raw", "suppressions") }}
            where arrived_on <= (select as_of from clock)
        ),
        -- What messages were answered with is asked of the messages, whoever else wrote it down.
        heard as (
            select user_id, point, channel, purpose, said_at, reason
            from versions
            where version_rank = 1
            {%- for reason in ["unsubscribed", "complained", "bounced"] %}
                union all
                select
                    user_id,
                    lower(trim(contact_point)) as point,
                    channel,
                    cast(null as string) as purpose,
                    {{ reason }}_at as said_at,
                    {{ text_literal(reason) }} as reason
                from {{ source("raw", "touches") }}
                where {{ reason }}_at is not null and arrived_on <= (select as_of from clock)
            {%- endfor %}
        ),
        stops as (
            select
                coalesce(merges.survivor_id, heard.user_id) as user_id,
                heard.point,
                heard.channel,
                heard.purpose,
                heard.said_at,
                heard.reason
            from heard
            left join merges on heard.user_id = merges.user_id
        ),
        answers as (
            select
                coalesce(merges.survivor_id, said.user_id) as user_id,
                said.channel,
                said.purpose,
                said.point,
                said.yes_at
            from said
            left join merges on said.user_id = merges.user_id
        )

    select asked_for, user_id, 'no standing subscription' as fault
    from asked
    where yes_at is null
    union all
    select asked.asked_for, asked.user_id, 'withdrawn at this address' as fault
    from asked
    inner join
        withdrawn
        on asked.channel = withdrawn.channel
        and asked.purpose = withdrawn.purpose
        and asked.point = withdrawn.point
    union all
    select asked.asked_for, asked.user_id, 'the person is stopped' as fault
    from asked
    inner join
        stops
        on asked.user_id = stops.user_id
        and coalesce(stops.channel, asked.channel) = asked.channel
        and coalesce(stops.purpose, asked.purpose) = asked.purpose
    where
        stops.said_at >= asked.yes_at
        and (stops.reason <> 'bounced' or coalesce(stops.point, asked.point) = asked.point)
    union all
    select asked.asked_for, asked.user_id, 'the address is stopped' as fault
    from asked
    inner join
        stops
        on asked.point = stops.point
        and coalesce(stops.channel, asked.channel) = asked.channel
        and coalesce(stops.purpose, asked.purpose) = asked.purpose
    where stops.said_at >= asked.yes_at
    union all
    select asked.asked_for, asked.user_id, 'somebody who shares the address is stopped' as fault
    from asked
    inner join
        stops
        on asked.point = stops.point
        and coalesce(stops.channel, asked.channel) = asked.channel
        and coalesce(stops.purpose, asked.purpose) = asked.purpose
    where
        stops.reason <> 'bounced'
        and stops.user_id is not null
        and not exists (
            select 1
            from answers
            where
                answers.user_id = stops.user_id
                and answers.channel = asked.channel
                and answers.purpose = asked.purpose
                and answers.point = asked.point
                and answers.yes_at > stops.said_at
        )
    union all
    select asked.asked_for, asked.user_id, 'everybody is stopped' as fault
    from asked
    inner join
        stops
        on coalesce(stops.channel, asked.channel) = asked.channel
        and coalesce(stops.purpose, asked.purpose) = asked.purpose
    where stops.user_id is null and stops.point is null and stops.said_at >= asked.yes_at
{%- endmacro %}

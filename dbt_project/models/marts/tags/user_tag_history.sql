{{ windowed("coalesce(to_on, cast('9999-12-31' as date))") }}

{%- set names = tags() | map(attribute="name") | list -%}
{%- set columns = [] -%}
{%- for word in tag_words() -%} {%- do columns.extend(["rule_" ~ word, "manual_" ~ word]) -%} {%- endfor %}

with
    clock as (select as_of, window_from from {{ ref("int_clock") }}),
    bits as ({{ tag_bits() }}),
    states as (
        select
            user_id,
            night_on
            {%- for word in tag_words() %}, {{ tag_word(word) }} as carried_{{ word }} {%- endfor %}
            {#- Where the rule comes first, an agent's word is what makes the tag only while the rule knows nothing. #}
            {%- for tag in tags() if tag["precedence"] == "rule" %}
                , ({{ tag["when"] }}) is null as unknown_{{ tag["name"] }}
            {%- endfor %}
        from {{ ref("int_user_state") }}
    ),
    said as (
        select
            user_id as said_user_id,
            night_on as said_night_on
            {%- for name in names %}, {{ name }} as said_{{ name }} {%- endfor %}
        from {{ ref("int_manual_tag_night") }}
    ),
    {#- The tags of a night in words: all of them, and those that are there because an agent said so. -#}
    credited as (
        select
            states.user_id,
            states.night_on,
            {%- for word in tag_words() %}
                states.carried_{{ word }},
                case
                    when said.said_user_id is null
                    then 0
                    else
                        cast(0 as bigint)
                        {%- for tag in tags()[word * 60 : (word + 1) * 60] %}
                            + case
                                when
                                    said.said_{{ tag["name"] }}
                                    {%- if tag["precedence"] == "rule" %}
                                        and states.unknown_{{ tag["name"] }}
                                    {%- endif %}
                                then {{ 2**loop.index0 }}
                                else 0
                            end
                        {%- endfor %}
                end as manual_{{ word }} {{- "," if not loop.last }}
            {%- endfor %}
        from states
        left join said on states.user_id = said.said_user_id and states.night_on = said.said_night_on
    ),
    nightly as (
        select
            user_id,
            night_on
            {%- for word in tag_words() %}
                , carried_{{ word }} - manual_{{ word }} as rule_{{ word }}, manual_{{ word }}
            {%- endfor %}
        from credited
    ),

    {#- Only nights on which something differs from the night before go on. -#}
    compared as (
        select
            user_id,
            night_on,
            {{ columns | join(", ") }},
            coalesce(lag(night_on) over nights_of_user = {{ days_after("night_on", -1) }}, false) as has_before,
            coalesce(lead(night_on) over nights_of_user = {{ days_after("night_on", 1) }}, false) as has_after
            {%- for column in columns %}
                , coalesce(lag({{ column }}) over nights_of_user, 0) as {{ column }}_before
            {%- endfor %}
        from nightly
        window nights_of_user as (partition by user_id order by night_on)
    ),
    changed as (
        select
            user_id,
            night_on as marked_on,
            {%- for column in columns %}
                {{ column }} as {{ column }},
                case when has_before then {{ column }}_before else 0 end as {{ column }}_before
                {{- "," if not loop.last }}
            {%- endfor %}
        from compared
        where not has_before {%- for column in columns %} or {{ column }} <> {{ column }}_before {%- endfor %}
        union all
        {#- The night after the last one that a user was counted on. #}
        select
            user_id,
            {{ days_after("night_on", 1) }} as marked_on,
            {%- for column in columns %}
                0 as {{ column }}, {{ column }} as {{ column }}_before {{- "," if not loop.last }}
            {%- endfor %}
        from compared
        where not has_after and night_on < (select as_of from clock)
    ),
    marks as (
        {%- for source in ["rule", "manual"] %}
            {{ "union all" if not loop.first }}
            select
                '{{ source }}' as source,
                user_id,
                marked_on
                {%- for word in tag_words() %}
                    {%- set now, before = source ~ "_" ~ word, source ~ "_" ~ word ~ "_before" %},
                    {{ now }} - ({{ now }} & {{ before }}) as given_{{ word }},
                    {{ before }} - ({{ now }} & {{ before }}) as taken_{{ word }}
                {%- endfor %}
            from changed
            where
                {%- for word in tag_words() %}
                    {{ "or " if not loop.first }}{{ source }}_{{ word }} <> {{ source }}_{{ word }}_before
                {%- endfor %}
        {%- endfor %}
    ),
    turns as (
        select
            marks.source,
            marks.user_id,
            bits.tag,
            marks.marked_on,
            {{ has_bit("marks.given", "bits.word", "bits.bit") }} as is_given
        from marks
        cross join bits
        where
            {{ has_bit("marks.given", "bits.word", "bits.bit") }}
            or {{ has_bit("marks.taken", "bits.word", "bits.bit") }}
    ),
    paired as (
        select
            source,
            user_id,
            tag,
            marked_on as from_on,
            is_given,
            lead(marked_on) over (partition by user_id, tag, source order by marked_on) as to_on
        from turns
    ),
    pieces as (select source, user_id, tag, from_on, to_on from paired where is_given),

    {#- A spell that reaches the window goes on in the piece that begins with the window, or ends there. -#}
    {%- if is_incremental() %}
        earlier as (
            select user_id, tag, source, from_on
            from {{ this }}
            where
                from_on < (select window_from from clock)
                and (to_on is null or to_on >= (select window_from from clock))
        ),
        spells as (
            select
                coalesce(pieces.user_id, earlier.user_id) as user_id,
                coalesce(pieces.tag, earlier.tag) as tag,
                coalesce(pieces.source, earlier.source) as source,
                coalesce(earlier.from_on, pieces.from_on) as from_on,
                case when pieces.user_id is null then (select window_from from clock) else pieces.to_on end as to_on
            from pieces
            full outer join
                earlier
                on pieces.user_id = earlier.user_id
                and pieces.tag = earlier.tag
                and pieces.source = earlier.source
                and pieces.from_on = (select window_from from clock)
        ),
    {%- else %} spells as (select user_id, tag, source, from_on, to_on from pieces),
    {%- endif %}

    {#- One agent after another on the same tag are two spells. -#}
    words as (
        select user_id, tag, author, confidence, from_on, to_on
        from {{ ref("int_manual_tag") }}
        where is_carried and (to_on is null or to_on > from_on)
    ),
    sourced as (
        select
            user_id, tag, source, from_on, to_on, cast(null as string) as author, cast(1 as decimal(9, 6)) as confidence
        from spells
        where source = 'rule'
        union all
        select
            spells.user_id,
            spells.tag,
            spells.source,
            greatest(spells.from_on, words.from_on) as from_on,
            least(coalesce(spells.to_on, words.to_on), coalesce(words.to_on, spells.to_on)) as to_on,
            words.author,
            words.confidence
        from spells
        inner join
            words
            on spells.user_id = words.user_id
            and spells.tag = words.tag
            and (spells.to_on is null or words.from_on < spells.to_on)
            and (words.to_on is null or spells.from_on < words.to_on)
        where spells.source = 'manual'
    )

select
    sourced.user_id,
    sourced.tag,
    sourced.source,
    sourced.from_on,
    case when sourced.to_on <= clock.as_of then sourced.to_on end as to_on,
    {{
        days_between(
            "sourced.from_on",
            "coalesce(case when sourced.to_on <= clock.as_of then sourced.to_on end, "
            ~ days_after("clock.as_of", 1)
            ~ ")",
        )
    }} as days,
    case when sourced.source = 'rule' then bits.rule_version end as rule_version,
    sourced.author,
    cast(sourced.confidence as decimal(9, 6)) as confidence
from sourced
cross join clock
inner join bits on sourced.tag = bits.tag

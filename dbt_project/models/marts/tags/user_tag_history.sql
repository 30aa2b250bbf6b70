{{ windowed("coalesce(to_on, cast('9999-12-31' as date))") }}

{%- set columns = [] -%}
{%- for word in tag_words() -%} {%- do columns.extend(["rule_" ~ word, "manual_" ~ word]) -%} {%- endfor %}

with
    clock as (select window_from, window_to from {{ ref("int_clock") }}),
    bits as ({{ tag_bits() }}),
    states as (
        select
            user_id,
            night_on
            {%- for word in tag_words() %}, {{ tag_word(word) }} as carried_{{ word }} {%- endfor %}
            {#- Where the rule comes first, an agent's word is what makes the tag only while the rule knows nothing. #}
            {%- for word in tag_words() %}
                ,
                cast(0 as bigint)
                {%- for tag in tags()[word * 60 : (word + 1) * 60] %}
                    {%- if tag["precedence"] == "rule" %}
                        + case when ({{ tag["when"] }}) is not null then {{ 2**loop.index0 }} else 0 end
                    {%- endif %}
                {%- endfor %} as known_{{ word }}
            {%- endfor %}
        from {{ ref("int_user_state") }}
    ),
    said as (
        select user_id, night_on {%- for word in tag_words() %}, {{ tag_word(word) }} as said_{{ word }} {%- endfor %}
        from {{ ref("int_manual_tag_night") }}
    ),
    {#- The tags of a night in words: those that are there because an agent said so, and the others. -#}
    credited as (
        select
            states.user_id,
            states.night_on
            {%- for word in tag_words() %}
                ,
                states.carried_{{ word }},
                coalesce(
                    said.said_{{ word }} - (said.said_{{ word }} & states.known_{{ word }}), 0
                ) as manual_{{ word }}
            {%- endfor %}
        from states
        left join said on states.user_id = said.user_id and states.night_on = said.night_on
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

    {#- Spells that reach the window go on in it, and tell what was carried on the night before it. -#}
    {%- if is_incremental() %}
        earlier as (
            select history.user_id, bits.tag, bits.word, bits.bit, history.source, history.from_on
            from {{ this }} as history
            inner join bits on history.tag = bits.tag
            where
                history.from_on < (select window_from from clock)
                and (history.to_on is null or history.to_on >= (select window_from from clock))
        ),
        nights_before as (
            select user_id, {{ days_after("night_on", 1) }} as next_on, {{ columns | join(", ") }}
            from nightly
            union all
            select
                user_id,
                (select window_from from clock) as next_on
                {%- for word in tag_words() %}
                    {%- for source in ["rule", "manual"] %}
                        ,
                        cast(
                            sum(case when source = '{{ source }}' and word = {{ word }} then bit else 0 end) as bigint
                        ) as {{ source }}_{{ word }}
                    {%- endfor %}
                {%- endfor %}
            from earlier
            group by user_id
        ),
    {%- else %}
        nights_before as (
            select user_id, {{ days_after("night_on", 1) }} as next_on, {{ columns | join(", ") }} from nightly
        ),
    {%- endif %}

    {#- Every night beside the one before it; a user not counted on one of the two carries nothing there. -#}
    compared as (
        select
            coalesce(nightly.user_id, nights_before.user_id) as user_id,
            coalesce(nightly.night_on, nights_before.next_on) as marked_on
            {%- for column in columns %}
                ,
                coalesce(nightly.{{ column }}, 0) as {{ column }},
                coalesce(nights_before.{{ column }}, 0) as {{ column }}_before
            {%- endfor %}
        from nightly
        full outer join
            nights_before on nightly.user_id = nights_before.user_id and nightly.night_on = nights_before.next_on
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
            from compared
            where
                marked_on <= (select window_to from clock)
                and (
                    {%- for word in tag_words() %}
                        {{ "or " if not loop.first }}{{ source }}_{{ word }} <> {{ source }}_{{ word }}_before
                    {%- endfor %}
                )
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
            marked_on,
            is_given,
            lag(marked_on) over (partition by user_id, tag, source order by marked_on) as previous_on,
            lead(marked_on) over (partition by user_id, tag, source order by marked_on) as next_on
        from turns
    ),
    spells as (
        select user_id, tag, source, marked_on as from_on, next_on as to_on
        from paired
        where is_given
        {%- if is_incremental() %}
            union all
            {#- What was carried before the window ends with the first turn in it, if there is one. #}
            select earlier.user_id, earlier.tag, earlier.source, earlier.from_on, ended.marked_on as to_on
            from earlier
            left join
                (select user_id, tag, source, marked_on from paired where not is_given and previous_on is null) as ended
                on earlier.user_id = ended.user_id
                and earlier.tag = ended.tag
                and earlier.source = ended.source
        {%- endif %}
    ),

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
    case when sourced.to_on <= clock.window_to then sourced.to_on end as to_on,
    {{
        days_between(
            "sourced.from_on",
            "coalesce(case when sourced.to_on <= clock.window_to then sourced.to_on end, "
            ~ days_after("clock.window_to", 1)
            ~ ")",
        )
    }} as days,
    case when sourced.source = 'rule' then bits.rule_version end as rule_version,
    sourced.author,
    cast(sourced.confidence as decimal(9, 6)) as confidence
from sourced
cross join clock
inner join bits on sourced.tag = bits.tag

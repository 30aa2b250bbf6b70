{%- set words = tag_words(size=10) -%}

with
    clock as (select as_of, first_on, {{ days_after("as_of", -90) }} as before_90d_on from {{ ref("int_clock") }}),
    bits as ({{ tag_bits(size=10) }}),
    sizes as (select tag, label, family, user_count, user_share from {{ ref("tag_sizes") }}),
    users as (
        select
            user_id,
            max(registered_on) as registered_on,
            greatest(min(known_from_on), max(registered_on), (select first_on from clock)) as first_night_on
        from {{ ref("int_user") }}
        group by user_id
        having max(case when known_to_on is null then 1 else 0 end) = 1
    ),
    spells as (select user_id, tag, source, from_on, to_on, days from {{ ref("user_tag_history") }}),

    {#- Who carries a tag tonight, and since when: a user has one such spell of a tag. -#}
    carried as (
        select spells.tag, spells.source, spells.days, count(*) as user_count
        from spells
        inner join users on spells.user_id = users.user_id
        where spells.to_on is null
        group by spells.tag, spells.source, spells.days
    ),
    carriers as (
        select
            tag,
            sum(user_count) as user_count,
            sum(case when source = 'rule' then user_count else 0 end) as rule_count,
            sum(case when source = 'manual' then user_count else 0 end) as manual_count
        from carried
        group by tag
    ),
    ages as ({{ counted_values("carried", "tag", "days", "user_count") }}),
    median_ages as (
        select tag, {{ percentile_of_counts(50, "value", "value_count", "place", "total") }} as age_days
        from ages
        group by tag
    ),
    {#- Who lost it within the 90 days, and of them who has got it back. -#}
    leavers as (
        select distinct spells.user_id, spells.tag
        from spells
        inner join users on spells.user_id = users.user_id
        where spells.to_on > {{ days_after("(select before_90d_on from clock)", 1) }}
    ),
    former_carriers as (
        select leavers.tag, sum(case when present.user_id is null then 1 else 0 end) as user_count
        from leavers
        left join
            (select user_id, tag from spells where to_on is null) as present
            on leavers.user_id = present.user_id
            and leavers.tag = present.tag
        group by leavers.tag
    ),

    {#- How long after registering a user first got it, of those who registered while somebody watched. -#}
    firsts as (
        select spells.user_id, spells.tag, users.registered_on, min(spells.from_on) as from_on
        from spells
        inner join users on spells.user_id = users.user_id
        where users.registered_on >= (select first_on from clock)
        group by spells.user_id, spells.tag, users.registered_on
    ),
    delays as (
        select tag, {{ days_between("registered_on", "from_on") }} as days, count(*) as user_count
        from firsts
        group by tag, {{ days_between("registered_on", "from_on") }}
    ),
    latencies as ({{ counted_values("delays", "tag", "days", "user_count") }}),
    median_latencies as (
        select
            tag,
            max(total) as user_count,
            {{ percentile_of_counts(50, "value", "value_count", "place", "total") }} as latency_days
        from latencies
        group by tag
    ),

    {#- How many users got and lost a tag on a day: what begins after the first night, and what ends. -#}
    begins as (
        select spells.tag, spells.from_on as turned_on, count(*) as turn_count
        from spells
        inner join users on spells.user_id = users.user_id and spells.from_on > users.first_night_on
        where spells.from_on > (select first_on from clock)
        group by spells.tag, spells.from_on
    ),
    ends as (
        select spells.tag, spells.to_on as turned_on, count(*) as turn_count
        from spells
        inner join users on spells.user_id = users.user_id
        where spells.to_on is not null
        group by spells.tag, spells.to_on
    ),
    {#- Where a spell begins as another ends, only the reason changes, and one of the two is an agent's: that is neither. -#}
    spoken_of as (select distinct user_id, tag from spells where source = 'manual'),
    spoken_spells as (
        select spells.user_id, spells.tag, spells.from_on, spells.to_on
        from spells
        inner join spoken_of on spells.user_id = spoken_of.user_id and spells.tag = spoken_of.tag
    ),
    handovers as (
        select
            earlier.tag,
            earlier.to_on as turned_on,
            - count(*) - sum(case when earlier.to_on > users.first_night_on then 1 else 0 end) as turn_count
        from spoken_spells as earlier
        inner join
            spoken_spells as later
            on earlier.user_id = later.user_id
            and earlier.tag = later.tag
            and earlier.to_on = later.from_on
        inner join users on earlier.user_id = users.user_id
        group by earlier.tag, earlier.to_on
    ),
    turns as (
        select tag, turned_on, turn_count
        from begins
        union all
        select tag, turned_on, turn_count
        from ends
        union all
        select tag, turned_on, turn_count
        from handovers
    ),
    turns_daily as (select tag, turned_on, sum(turn_count) as turn_count from turns group by tag, turned_on),
    flips as (
        select
            tag,
            max(case when turn_count > 0 then turned_on end) as changed_on,
            sum(case when turned_on > (select before_90d_on from clock) then turn_count else 0 end) as flip_count_90d
        from turns_daily
        group by tag
    ),
    counted as (
        select
            sizes.tag,
            coalesce(carriers.rule_count, 0) as rule_count,
            coalesce(carriers.manual_count, 0) as manual_count,
            coalesce(median_latencies.user_count, 0) as first_tagged_count,
            median_latencies.latency_days,
            median_ages.age_days,
            flips.changed_on,
            coalesce(flips.flip_count_90d, 0) as flip_count_90d,
            coalesce(carriers.user_count, 0) + coalesce(former_carriers.user_count, 0) as carrier_count_90d
        from sizes
        left join carriers on sizes.tag = carriers.tag
        left join former_carriers on sizes.tag = former_carriers.tag
        left join median_ages on sizes.tag = median_ages.tag
        left join median_latencies on sizes.tag = median_latencies.tag
        left join flips on sizes.tag = flips.tag
    ),

    {#-
        Nearly every user has tags no other has, but of any twenty tags few sets occur: users are counted by the tags they have in two words
        of ten, so that pairs are made of sets, not of users.
    -#}
    worded as (
        select
            {%- for word in words %}
                {{ tag_word(word, size=10) }} as carried_{{ word }} {{- "," if not loop.last }}
            {%- endfor %}
        from {{ ref("user_tags") }}
    ),
    grouped as (
        select {%- for word in words %} carried_{{ word }}, {%- endfor %} count(*) as user_count
        from worded
        group by
            grouping sets (
                {%- for word in words %}
                    (carried_{{ word }})
                    {%- for other in words if other > word %}, (carried_{{ word }}, carried_{{ other }}) {%- endfor %}
                    {{- "," if not loop.last }}
                {%- endfor %}
            )
    ),
    sets as (
        select
            case {%- for word in words %} when carried_{{ word }} is not null then {{ word }} {%- endfor %} end as word,
            coalesce({%- for word in words %}carried_{{ word }} {{- "," if not loop.last }} {%- endfor %}) as carried,
            case
                {%- for word in words | reverse %} when carried_{{ word }} is not null then {{ word }} {%- endfor %}
            end as other_word,
            coalesce(
                {%- for word in words | reverse %}carried_{{ word }} {{- "," if not loop.last }} {%- endfor %}
            ) as other_carried,
            user_count
        from grouped
    ),
    pairs as (
        select one.tag, other.tag as other_tag, sum(sets.user_count) as both_count
        from sets
        inner join bits as one on sets.word = one.word and (sets.carried & one.bit) <> 0
        inner join bits as other on sets.other_word = other.word and (sets.other_carried & other.bit) <> 0
        where sets.word < sets.other_word or one.bit < other.bit
        group by one.tag, other.tag
    ),
    both_ways as (
        select tag, other_tag, both_count
        from pairs
        union all
        select other_tag as tag, tag as other_tag, both_count
        from pairs
    ),
    likeness as (
        select
            both_ways.tag,
            both_ways.other_tag,
            {{ share("both_ways.both_count", "sizes.user_count + others.user_count - both_ways.both_count") }}
            as jaccard
        from both_ways
        inner join sizes on both_ways.tag = sizes.tag
        inner join sizes as others on both_ways.other_tag = others.tag
    ),
    ranked as (
        select tag, other_tag, jaccard, row_number() over (partition by tag order by jaccard desc, other_tag) as place
        from likeness
    )

select
    sizes.tag,
    sizes.label,
    sizes.family,
    bits.rule_version,
    sizes.user_count,
    cast(counted.rule_count as bigint) as rule_count,
    cast(counted.manual_count as bigint) as manual_count,
    sizes.user_share as coverage_share,
    case
        when sizes.user_count = 0 then 'nobody' when sizes.user_share = 1 then 'everybody' else 'some'
    end as holds_for,
    cast(counted.first_tagged_count as bigint) as first_tagged_count,
    {{ rounded("counted.latency_days", 9, 2) }} as latency_days,
    {{ rounded("counted.age_days", 9, 2) }} as age_days,
    {{ days_between("counted.changed_on", "clock.as_of") }} as days_since_change,
    cast(counted.flip_count_90d as bigint) as flip_count_90d,
    cast(counted.carrier_count_90d as bigint) as carrier_count_90d,
    {{ ratio("counted.flip_count_90d", "counted.carrier_count_90d", 9, 4) }} as flips_per_carrier_90d,
    ranked.other_tag as overlap_tag,
    ranked.jaccard as overlap_jaccard
from sizes
cross join clock
inner join bits on sizes.tag = bits.tag
inner join counted on sizes.tag = counted.tag
left join ranked on sizes.tag = ranked.tag and ranked.place = 1

with
    clock as (select as_of, first_on, {{ days_after("as_of", -90) }} as before_90d_on from {{ ref("int_clock") }}),
    bits as ({{ tag_bits() }}),
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
    spells as (
        select
            spells.user_id,
            spells.tag,
            spells.source,
            spells.from_on,
            spells.to_on,
            spells.days,
            lag(spells.to_on) over (partition by spells.user_id, spells.tag order by spells.from_on) as previous_to_on,
            lead(spells.from_on) over (partition by spells.user_id, spells.tag order by spells.from_on) as next_from_on,
            users.registered_on,
            users.first_night_on
        from {{ ref("user_tag_history") }} as spells
        inner join users on spells.user_id = users.user_id
    ),
    {#- Where only the reason changes, the tag was neither got nor lost. -#}
    turns as (
        select
            user_id,
            tag,
            source,
            from_on,
            to_on,
            days,
            registered_on,
            case when from_on > first_night_on and previous_to_on is distinct from from_on then from_on end as got_on,
            case when next_from_on is distinct from to_on then to_on end as lost_on,
            row_number() over (partition by user_id, tag order by from_on) as place
        from spells
    ),
    counted as (
        select
            tag,
            sum(case when to_on is null and source = 'rule' then 1 else 0 end) as rule_count,
            sum(case when to_on is null and source = 'manual' then 1 else 0 end) as manual_count,
            sum(
                case when place = 1 and registered_on >= (select first_on from clock) then 1 else 0 end
            ) as first_tagged_count,
            percentile_cont(0.5) within group (
                order by
                    cast(
                        case
                            when place = 1 and registered_on >= (select first_on from clock)
                            then {{ days_between("registered_on", "from_on") }}
                        end as double
                    )
            ) as latency_days,
            percentile_cont(0.5) within group (
                order by cast(case when to_on is null then days end as double)
            ) as age_days,
            max(greatest(coalesce(got_on, lost_on), coalesce(lost_on, got_on))) as changed_on,
            sum(
                case when got_on > (select before_90d_on from clock) then 1 else 0 end
                + case when lost_on > (select before_90d_on from clock) then 1 else 0 end
            ) as flip_count_90d,
            count(
                distinct case
                    when to_on is null or to_on > {{ days_after("(select before_90d_on from clock)", 1) }} then user_id
                end
            ) as carrier_count_90d
        from turns
        group by tag
    ),

    {#- Users with the same tags are one set, so that pairs are made of sets, not of users. -#}
    sets as (
        select
            {%- for word in tag_words() %}
                {{ tag_word(word) }} as carried_{{ word }}, {%- endfor %} count(*) as user_count
        from {{ ref("user_tags") }}
        group by {%- for word in tag_words() %} {{ tag_word(word) }} {{- "," if not loop.last }} {%- endfor %}
    ),
    pairs as (
        select one.tag, other.tag as other_tag, sum(sets.user_count) as both_count
        from sets
        inner join bits as one on {{ has_bit("sets.carried", "one.word", "one.bit") }}
        inner join bits as other on {{ has_bit("sets.carried", "other.word", "other.bit") }}
        where one.tag <> other.tag
        group by one.tag, other.tag
    ),
    likeness as (
        select
            pairs.tag,
            pairs.other_tag,
            {{ share("pairs.both_count", "sizes.user_count + others.user_count - pairs.both_count") }} as jaccard
        from pairs
        inner join sizes on pairs.tag = sizes.tag
        inner join sizes as others on pairs.other_tag = others.tag
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
    cast(coalesce(counted.rule_count, 0) as bigint) as rule_count,
    cast(coalesce(counted.manual_count, 0) as bigint) as manual_count,
    sizes.user_share as coverage_share,
    case
        when sizes.user_count = 0 then 'nobody' when sizes.user_share = 1 then 'everybody' else 'some'
    end as holds_for,
    cast(coalesce(counted.first_tagged_count, 0) as bigint) as first_tagged_count,
    {{ rounded("counted.latency_days", 9, 2) }} as latency_days,
    {{ rounded("counted.age_days", 9, 2) }} as age_days,
    {{ days_between("counted.changed_on", "clock.as_of") }} as days_since_change,
    cast(coalesce(counted.flip_count_90d, 0) as bigint) as flip_count_90d,
    cast(coalesce(counted.carrier_count_90d, 0) as bigint) as carrier_count_90d,
    {{ ratio("counted.flip_count_90d", "counted.carrier_count_90d", 9, 4) }} as flips_per_carrier_90d,
    ranked.other_tag as overlap_tag,
    ranked.jaccard as overlap_jaccard
from sizes
cross join clock
inner join bits on sizes.tag = bits.tag
left join counted on sizes.tag = counted.tag
left join ranked on sizes.tag = ranked.tag and ranked.place = 1

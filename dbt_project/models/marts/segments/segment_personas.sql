{%- set rules = persona_rules() -%}
{%- set shown = rules["attributes"] | map(attribute="name") | list -%}
{%- set traits = [] -%}
{%- for tag in tags() -%}
    {%- do traits.append(["'tag'", text_literal(tag["name"]), "'true'", tag["name"]]) -%}
{%- endfor -%}
{%- set declared_traits = [] -%}
{%- for name in shown -%}
    {%- do declared_traits.append(["'attribute'", text_literal(name), "cast(" ~ name ~ " as string)"]) -%}
{%- endfor -%}

with
    members as (select segment, user_id from {{ ref("segment_members") }}),
    tagged as (select user_id, {{ tags() | map(attribute="name") | join(", ") }} from {{ ref("user_tags") }}),
    profiled as (select user_id {%- for name in shown %}, {{ name }} {%- endfor %} from {{ ref("user_profile") }}),
    labels as (
        {%- for tag in tags() %}
            select 'tag' as kind, {{ text_literal(tag["name"]) }} as trait, {{ text_literal(tag["label"]) }} as label
            union all
        {%- endfor %}
        {%- for attribute in rules["attributes"] %}
            select
                'attribute' as kind,
                {{ text_literal(attribute["name"]) }} as trait,
                {{ text_literal(attribute["label"]) }} as label
            union all
        {%- endfor %}
        select 'none' as kind, 'none' as trait, 'none' as label
        where false
    ),
    made_of as (
        {%- for segment in segments() %}
            {%- for trait in traits_by_rule(segment) %}
                select {{ text_literal(segment["name"]) }} as segment, {{ text_literal(trait) }} as trait
                union all
            {%- endfor %}
        {%- endfor %}
        select 'none' as segment, 'none' as trait
        where false
    ),
    {#- Tags are counted side by side, in one pass over the users; the few sums are what becomes rows. -#}
    tags_in_base as (select {{ tag_counts() }} from tagged),
    tags_in_segment as (
        select members.segment, {{ tag_counts() }}
        from members
        inner join tagged on members.user_id = tagged.user_id
        group by members.segment
    ),
    attribute_traits as (
        {%- if declared_traits %}
            {{ as_rows("profiled", ["kind", "trait", "value"], declared_traits, keep=["user_id"]) }}
        {%- else %}select user_id, 'none' as kind, 'none' as trait, 'none' as value from profiled where false
        {%- endif %}
    ),
    everybody as (select count(*) as user_count from tagged),
    sizes as (select segment, count(*) as user_count from members group by segment),
    tag_base as ({{ as_rows("tags_in_base", ["kind", "trait", "value", "user_count"], traits) }}),
    in_base as (
        select kind, trait, value, user_count
        from tag_base
        where user_count > 0
        union all
        select kind, trait, value, count(*) as user_count
        from attribute_traits
        where value is not null
        group by kind, trait, value
    ),
    in_segment as (
        {{ as_rows("tags_in_segment", ["kind", "trait", "value", "user_count"], traits, keep=["segment"]) }}
        union all
        select members.segment, traits.kind, traits.trait, traits.value, count(*) as user_count
        from members
        inner join attribute_traits as traits on members.user_id = traits.user_id
        where traits.value is not null
        group by members.segment, traits.kind, traits.trait, traits.value
    ),
    counted as (
        select
            sizes.segment,
            in_base.kind,
            in_base.trait,
            in_base.value,
            coalesce(in_segment.user_count, 0) as with_trait,
            sizes.user_count as size,
            in_base.user_count as base_with_trait,
            everybody.user_count as base_size,
            in_base.user_count - coalesce(in_segment.user_count, 0) as rest_with_trait,
            everybody.user_count - sizes.user_count as rest_size
        from sizes
        cross join everybody
        cross join in_base
        left join
            in_segment
            on sizes.segment = in_segment.segment
            and in_base.kind = in_segment.kind
            and in_base.trait = in_segment.trait
            and in_base.value = in_segment.value
    ),

    {#- Members against the users who are not: the segment is a part of the base, and the two samples must be independent. -#}
    judged as (
        select
            segment,
            kind,
            trait,
            value,
            with_trait,
            size,
            base_with_trait,
            base_size,
            rest_with_trait,
            rest_size,
            case
                when rest_size = 0
                then 'not_eligible: the segment is everybody'
                when size < {{ rules["least_users"] }}
                then 'not_eligible: fewer than {{ rules["least_users"] }} users in the segment'
                when rest_size < {{ rules["least_users"] }}
                then 'not_eligible: fewer than {{ rules["least_users"] }} users outside it'
                when
                    least(size, rest_size) * least(base_with_trait, base_size - base_with_trait)
                    < {{ rules["least_expected"] }} * base_size
                then 'not_eligible: fewer than {{ rules["least_expected"] }} expected in a cell'
                else 'eligible'
            end as eligibility
        from counted
    ),
    bounded as (
        select
            segment,
            kind,
            trait,
            value,
            {{ proportion("with_trait", "size") }} as p,
            {{ wilson("with_trait", "size", -1) }} as p_low,
            {{ wilson("with_trait", "size", 1) }} as p_high,
            {{ proportion("rest_with_trait", "rest_size") }} as q,
            {{ wilson("rest_with_trait", "rest_size", -1) }} as q_low,
            {{ wilson("rest_with_trait", "rest_size", 1) }} as q_high,
            {{ proportion("base_with_trait", "base_size") }} as pooled,
            cast(size as double) as m,
            cast(rest_size as double) as n
        from judged
        where eligibility = 'eligible'
    ),
    scored as (
        select
            segment,
            kind,
            trait,
            value,
            q,
            p - q as difference,
            {{ newcombe("p", "q", -1) }} as difference_low,
            {{ newcombe("p", "q", 1) }} as difference_high,
            (p - q) / sqrt(pooled * (1 - pooled) * (1 / m + 1 / n)) as z
        from bounded
    ),
    valued as (
        select
            segment,
            kind,
            trait,
            value,
            q,
            difference,
            difference_low,
            difference_high,
            {{ normal_p_value("z") }} as p_value
        from scored
    ),

    {#- All traits of a segment are one family of comparisons. -#}
    adjusted as (
        {{
            false_discoveries(
                "valued",
                [
                    "segment",
                    "kind",
                    "trait",
                    "value",
                    "q",
                    "difference",
                    "difference_low",
                    "difference_high",
                    "p_value",
                ],
                "p_value",
                "adjusted_p_value",
                family=["segment"],
            )
        }}
    )

select
    judged.segment,
    judged.kind,
    judged.trait,
    judged.value,
    labels.label,
    cast(judged.with_trait as bigint) as user_count,
    cast(judged.size as bigint) as segment_user_count,
    {{ share("judged.with_trait", "judged.size") }} as user_share,
    cast(judged.base_with_trait as bigint) as base_user_count,
    cast(judged.base_size as bigint) as base_size_count,
    {{ share("judged.base_with_trait", "judged.base_size") }} as base_share,
    {{
        ratio(
            "cast(judged.with_trait as double) * judged.base_size",
            "cast(judged.size as double) * judged.base_with_trait",
            18,
            4,
        )
    }} as over_index,
    {{ rounded("adjusted.q", 9, 6) }} as rest_share,
    {{ rounded("adjusted.difference", 9, 6) }} as difference,
    {{ rounded("adjusted.difference_low", 9, 6) }} as difference_low,
    {{ rounded("adjusted.difference_high", 9, 6) }} as difference_high,
    {{ rounded("adjusted.p_value", 18, 9) }} as p_value,
    {{ rounded("adjusted.adjusted_p_value", 18, 9) }} as adjusted_p_value,
    judged.eligibility,
    coalesce(adjusted.adjusted_p_value <= {{ rules["false_discovery_rate"] }}, false) as is_distinct,
    made_of.trait is not null as is_by_rule
from judged
inner join labels on judged.kind = labels.kind and judged.trait = labels.trait
left join made_of on judged.segment = made_of.segment and judged.trait = made_of.trait
left join
    adjusted
    on judged.segment = adjusted.segment
    and judged.kind = adjusted.kind
    and judged.trait = adjusted.trait
    and judged.value = adjusted.value

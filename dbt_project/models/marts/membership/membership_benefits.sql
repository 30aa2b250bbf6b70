{%- set days = rules_of_membership_benefits()["window_days"] %}

with
    clock as (select as_of, {{ days_after("as_of", -days) }} as before_on from {{ ref("int_clock") }}),
    declared as (
        {%- for level in levels() %}
            {%- set position = loop.index %}
            {%- for benefit in benefits() if level["name"] in benefit["levels"] %}
                select {{ text_literal(level["name"]) }} as level, {{ text_literal(benefit["name"]) }} as benefit
                union all
            {%- endfor %}
        {%- endfor %}
        select cast(null as string) as level, cast(null as string) as benefit
        from clock
        where false
    ),

    {#- Levels held on a night of the window. -#}
    spells as (
        select history.user_id, history.level, history.from_on, history.to_on
        from {{ ref("user_membership_history") }} as history
        cross join clock
        where
            (history.to_on is null or history.to_on > {{ days_after("clock.before_on", 1) }})
            and history.from_on <= clock.as_of
    ),
    holders as (
        select level, count(case when to_on is null then 1 end) as member_count, count(distinct user_id) as holder_count
        from spells
        group by level
    ),

    {#- What was issued in the window, at the level its user had then. -#}
    issued as (
        select
            given.user_id,
            given.benefit,
            coalesce(spells.level, {{ outside() }}) as level,
            case when given.used_on <= clock.as_of then 1 end as is_used,
            given.value,
            given.cost
        from {{ ref("int_benefit") }} as given
        cross join clock
        left join
            spells
            on given.user_id = spells.user_id
            and given.issued_on >= spells.from_on
            and given.issued_on < coalesce(spells.to_on, {{ no_end() }})
        where given.benefit is not null and given.issued_on > clock.before_on and given.issued_on <= clock.as_of
    ),
    counted as (
        select
            level,
            benefit,
            count(*) as issued_count,
            count(distinct user_id) as issued_user_count,
            count(is_used) as used_count,
            count(distinct case when is_used = 1 then user_id end) as used_user_count,
            sum(value) as face_amount,
            sum(cost) as cost_amount
        from issued
        group by level, benefit
    ),
    placed as (
        select
            coalesce(declared.level, counted.level) as level,
            coalesce(declared.benefit, counted.benefit) as benefit,
            declared.level is not null as is_entitled,
            counted.issued_count,
            counted.issued_user_count,
            counted.used_count,
            counted.used_user_count,
            counted.face_amount,
            counted.cost_amount
        from declared
        full outer join counted on declared.level = counted.level and declared.benefit = counted.benefit
    )

select
    placed.level,
    coalesce({{ state_label("level", "placed.level") }}, '无等级') as label,
    placed.benefit,
    case
        placed.benefit
        {%- for benefit in benefits() %}
            when {{ text_literal(benefit["name"]) }} then {{ text_literal(benefit["label"]) }}
        {%- endfor %}
        else cast(null as string)
    end as benefit_label,
    placed.is_entitled,
    cast(coalesce(holders.member_count, 0) as bigint) as member_count,
    cast(case when placed.is_entitled then coalesce(holders.holder_count, 0) else 0 end as bigint) as entitled_count,
    cast(coalesce(placed.issued_count, 0) as bigint) as issued_count,
    cast(coalesce(placed.issued_user_count, 0) as bigint) as issued_user_count,
    cast(coalesce(placed.used_count, 0) as bigint) as used_count,
    cast(coalesce(placed.used_user_count, 0) as bigint) as used_user_count,
    {{ share("coalesce(placed.used_count, 0)", "placed.issued_count") }} as redemption_share,
    {{ share("case when placed.is_entitled then coalesce(placed.used_user_count, 0) end", "holders.holder_count") }}
    as take_up_share,
    cast(coalesce(placed.face_amount, 0) as decimal(18, 2)) as face_amount,
    cast(placed.cost_amount as decimal(18, 2)) as cost_amount
from placed
left join holders on placed.level = holders.level

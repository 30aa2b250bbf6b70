{%- set said = ["user_id", "plan", "period_unit", "period_count", "price", "monthly_amount"] %}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    versions as (
        select
            subscription_id,
            {{ said | join(", ") }},
            case when is_first then least(known_from_on, started_on) else known_from_on end as told_from_on,
            coalesce(known_to_on, {{ no_end() }}) as told_to_on,
            started_on,
            coalesce(ended_on, {{ no_end() }}) as ended_on,
            paid_from_on,
            coalesce(paid_until_on, {{ no_end() }}) as paid_until_on,
            coalesce(held_until_on, {{ no_end() }}) as held_until_on
        from {{ ref("int_subscription") }}
    ),
    phases as (
        select
            subscription_id,
            {{ said | join(", ") }},
            'trial' as standing,
            greatest(told_from_on, started_on) as from_on,
            least(told_to_on, paid_from_on, ended_on) as to_on
        from versions
        union all
        select
            subscription_id,
            {{ said | join(", ") }},
            'paid' as standing,
            greatest(told_from_on, paid_from_on) as from_on,
            least(told_to_on, paid_until_on) as to_on
        from versions
        union all
        select
            subscription_id,
            {{ said | join(", ") }},
            'late' as standing,
            greatest(told_from_on, paid_until_on) as from_on,
            least(told_to_on, held_until_on) as to_on
        from versions
        where paid_until_on > paid_from_on
    ),
    begun as (
        select
            phases.subscription_id,
            {%- for name in said %} phases.{{ name }}, {%- endfor %}
            phases.standing,
            phases.from_on,
            phases.to_on
        from phases
        cross join clock
        where phases.from_on < phases.to_on and phases.from_on <= clock.as_of
    ),
    {#- A spell goes on where the next piece begins at its end and says the same. -#}
    followed as (
        select
            subscription_id,
            {{ said | join(", ") }},
            standing,
            from_on,
            to_on,
            case
                when
                    lag(to_on) over (partition by subscription_id order by from_on) = from_on
                    and lag(standing) over (partition by subscription_id order by from_on) = standing
                    {%- for name in said %}
                        and not (
                            lag({{ name }}) over (partition by subscription_id order by from_on)
                            is distinct from {{ name }}
                        )
                    {%- endfor %}
                then 0
                else 1
            end as begins
        from begun
    ),
    numbered as (
        select
            subscription_id,
            {{ said | join(", ") }},
            standing,
            from_on,
            to_on,
            sum(begins) over (partition by subscription_id order by from_on rows unbounded preceding) as spell
        from followed
    ),
    spells as (
        select subscription_id, {{ said | join(", ") }}, standing, min(from_on) as from_on, max(to_on) as to_on
        from numbered
        group by subscription_id, {{ said | join(", ") }}, standing, spell
    )

select
    spells.subscription_id,
    spells.user_id,
    spells.plan,
    spells.standing,
    spells.period_unit,
    spells.period_count,
    spells.price,
    spells.monthly_amount,
    spells.from_on,
    case when spells.to_on <= clock.as_of then spells.to_on end as to_on,
    {{ days_between("spells.from_on", "least(spells.to_on, " ~ days_after("clock.as_of", 1) ~ ")") }} as days
from spells
cross join clock

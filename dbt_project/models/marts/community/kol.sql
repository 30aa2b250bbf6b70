{%- set counts = (kol_counts().values() | list) + ["reaction_count", "screened_invitee_count"] %}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    users as (select user_id from {{ ref("user_profile") }}),
    scores as (
        select user_id, {{ counts | join(", ") }}, kol_score, kol_tier
        from {{ ref("int_user_community") }}
        where kol_score > 0 and night_on = (select as_of from clock)
    )

select
    scores.user_id,
    {%- for count in counts %} scores.{{ count }}, {%- endfor %}
    scores.kol_score,
    cast(rank() over (order by scores.kol_score desc) as bigint) as score_rank,
    scores.kol_tier,
    {{ kol_tier_label("scores.kol_tier") }} as label
from scores
inner join users on scores.user_id = users.user_id

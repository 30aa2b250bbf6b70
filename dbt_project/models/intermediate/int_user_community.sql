{{ config(materialized="table") }}

{%- set rules = contribution_rules() %}
{%- set days = rules.get("window_days", 90) %}
{%- set core = rules.get("core", {}) %}
{%- set measures = (
    (content_counts().values() | list)
    + ["reaction_count", "audience_count", "reshare_count", "follower_count"]
    + ["invitee_count", "screened_invitee_count", "activated_invitee_count", "paid_invitee_count"]
) %}

with
    nights as (select night_on from {{ ref("int_night") }} where is_in_window),
    features as (
        select
            user_id,
            night_on,
            registered_on,
            greatest(spend_amount_{{ days }}d - refund_amount_{{ days }}d, 0) as spend_amount
        from {{ ref("int_user_features") }}
    ),
    contents as (
        select user_id, kind, created_on
        from {{ ref("int_content") }}
        where kind <> 'like' and created_on > (select {{ days_after("min(night_on)", -1 * days) }} from nights)
    ),
    interactions as (
        select owner_id, user_id, acted_on, kind, act_count
        from {{ ref("int_interaction") }}
        where not is_shared_device and acted_on > (select {{ days_after("min(night_on)", -1 * days) }} from nights)
    ),
    referrals as (
        select inviter_id, invitee_id, invited_on, activated_on, paid_on, screened_on from {{ ref("int_referral") }}
    ),

    written as (
        select
            contents.user_id,
            nights.night_on
            {%- for kind, column in content_counts().items() %}
                , count(case when contents.kind = {{ text_literal(kind) }} then 1 end) as {{ column }}
            {%- endfor %}
        from contents
        inner join
            nights
            on contents.created_on <= nights.night_on
            and contents.created_on > {{ days_after("nights.night_on", -1 * days) }}
        group by contents.user_id, nights.night_on
    ),
    received as (
        select
            interactions.owner_id,
            nights.night_on,
            sum(interactions.act_count) as reaction_count,
            count(distinct interactions.user_id) as audience_count,
            sum(case when interactions.kind = 'share' then interactions.act_count else 0 end) as reshare_count,
            count(distinct case when interactions.kind = 'follow' then interactions.user_id end) as follower_count
        from interactions
        inner join
            nights
            on interactions.acted_on <= nights.night_on
            and interactions.acted_on > {{ days_after("nights.night_on", -1 * days) }}
        group by interactions.owner_id, nights.night_on
    ),
    {#- Who is not known on a night does not count on it; who was there before the invitation was not brought by it. -#}
    invitees as (
        select
            referrals.inviter_id,
            nights.night_on,
            features.spend_amount,
            coalesce(referrals.activated_on <= nights.night_on, false) as is_activated,
            coalesce(referrals.paid_on <= nights.night_on, false) as is_paid,
            coalesce(referrals.screened_on <= nights.night_on, false)
            or features.registered_on < referrals.invited_on as is_screened
        from referrals
        inner join
            nights
            on referrals.invited_on <= nights.night_on
            and referrals.invited_on > {{ days_after("nights.night_on", -1 * days) }}
        inner join features on referrals.invitee_id = features.user_id and nights.night_on = features.night_on
    ),
    invited as (
        select
            inviter_id,
            night_on,
            count(*) as invitee_count,
            count(case when is_screened then 1 end) as screened_invitee_count,
            count(case when is_activated and not is_screened then 1 end) as activated_invitee_count,
            count(case when is_paid and not is_screened then 1 end) as paid_invitee_count,
            sum(case when is_screened then 0 else spend_amount end) as invitee_spend_amount
        from invitees
        group by inviter_id, night_on
    ),

    together as (
        select
            features.user_id,
            features.night_on,
            cast(features.spend_amount as decimal(18, 2)) as spend_amount,
            {%- for measure in measures %} cast(coalesce({{ measure }}, 0) as bigint) as {{ measure }}, {%- endfor %}
            cast(coalesce(invited.invitee_spend_amount, 0) as decimal(18, 2)) as invitee_spend_amount
        from features
        left join written on features.user_id = written.user_id and features.night_on = written.night_on
        left join received on features.user_id = received.owner_id and features.night_on = received.night_on
        left join invited on features.user_id = invited.inviter_id and features.night_on = invited.night_on
        where
            features.spend_amount > 0
            or written.user_id is not null
            or received.owner_id is not null
            or invited.inviter_id is not null
    ),
    pointed as (
        select
            user_id,
            night_on,
            spend_amount,
            {{ measures | join(",\n            ") }},
            invitee_spend_amount,
            {{ weighted(rules.get("content_points", {}), content_counts()) }} as content_points,
            {{ weighted(rules.get("referral_points", {}), referral_counts()) }} as referral_points,
            {{ weighted(kol_rules().get("weights", {}), kol_counts()) }} as kol_score
        from together
    ),

    {#- Sums of whole numbers and decimals are exact, so that no share depends on the order of the rows. -#}
    totals as (
        select
            night_on
            {%- for part, column in contribution_parts().items() %}
                ,
                sum({{ column }}) as total_{{ part }},
                count(case when {{ column }} > 0 then 1 end) as users_{{ part }}
            {%- endfor %}
        from pointed
        group by night_on
    ),
    weights as (
        select
            night_on
            {%- for part in contribution_parts() %}
                ,
                total_{{ part }},
                case
                    when users_{{ part }} >= {{ rules.get("least_users", 1) }}
                    then {{ rules.get("weights", {}).get(part, 0) }}
                    else 0
                end as weight_{{ part }}
            {%- endfor %}
        from totals
    ),
    parted as (
        select
            pointed.user_id,
            pointed.night_on,
            {%- for part, column in contribution_parts().items() %}
                {{
                    ratio(
                        "pointed." ~ column ~ " * weights.weight_" ~ part,
                        "cast(weights.total_"
                        ~ part
                        ~ " as double) * ("
                        ~ (contribution_parts() | map("replace", "", "weights.weight_", 1) | join(" + "))
                        ~ ")",
                        18,
                        12,
                    )
                }} as part_{{ part }} {{- "," if not loop.last }}
            {%- endfor %}
        from pointed
        inner join weights on pointed.night_on = weights.night_on
    ),
    shares as (
        select
            user_id,
            night_on,
            {%- for part in contribution_parts() %}
                cast(coalesce(part_{{ part }}, 0) as decimal(18, 12)) as share_from_{{ part }},
            {%- endfor %}
            cast(
                {%- for part in contribution_parts() %}
                    coalesce(part_{{ part }}, 0) {{- " + " if not loop.last }}
                {%- endfor %} as decimal(18, 12)
            ) as contribution_share
        from parted
    ),
    ranked as (
        select
            user_id,
            night_on,
            {%- for part in contribution_parts() %} share_from_{{ part }}, {%- endfor %}
            contribution_share,
            row_number() over (partition by night_on order by contribution_share desc, user_id) as contribution_rank,
            sum(contribution_share) over (
                partition by night_on order by contribution_share desc, user_id rows unbounded preceding
            ) as cumulative_share
        from shares
    ),
    everybody as (select night_on, count(*) as user_count from features group by night_on)

select
    pointed.user_id,
    pointed.night_on,
    pointed.spend_amount,
    {%- for measure in measures %} pointed.{{ measure }}, {%- endfor %}
    pointed.invitee_spend_amount,
    pointed.content_points,
    pointed.referral_points,
    {%- for part in contribution_parts() %} ranked.share_from_{{ part }}, {%- endfor %}
    ranked.contribution_share,
    cast(ranked.contribution_rank as bigint) as contribution_rank,
    cast(ranked.cumulative_share as decimal(18, 12)) as cumulative_share,
    ranked.contribution_share > 0
    and {%- if "share_of_users" in core %}
        ranked.contribution_rank <= ceil({{ core["share_of_users"] }} * everybody.user_count)
    {%- else %} ranked.cumulative_share - ranked.contribution_share < {{ core.get("share_of_contribution", 0) }}
    {%- endif %} as is_core_user,
    pointed.kol_score,
    {{ kol_tier() }} as kol_tier
from pointed
inner join ranked on pointed.user_id = ranked.user_id and pointed.night_on = ranked.night_on
inner join everybody on pointed.night_on = everybody.night_on

{%- set rules = key_behaviour_rules() %}
{%- set behaviours, outcomes, windows = rules["behaviours"], rules["outcomes"], rules["within_days"] %}
{%- set last_day = outcomes | map(attribute="to_day") | max %}
{%- set measures = behaviours | map(attribute="measure") | list %}
{%- set counted = (
    (["active_days"] + measures + rules["adjust_for"] | map(attribute="measure") | list) | unique | list
) %}
{%- set so_far, came, bands, reached = [], [], [], [] %}
{%- for behaviour in behaviours %}
    {%- do so_far.append("before_" ~ behaviour["name"]) %} {%- do so_far.append("by_" ~ behaviour["name"]) %}
{%- endfor %}
{%- for outcome in outcomes %} {%- do came.append("came_" ~ outcome["name"]) %} {%- endfor %}
{%- for each in rules["adjust_for"] %} {%- do bands.append("band_" ~ each["measure"]) %} {%- endfor %}
{#-
    What days are alike in, as one number: a bit for each behaviour done by their end, and two digits for each band. Of the candidate
    itself, what its own measure gives is taken out.
-#}
{%- set likeness, own = [], {} %}
{%- for behaviour in behaviours %}
    {%- do likeness.append("case when by_" ~ behaviour["name"] ~ " > 0 then " ~ 2**loop.index0 ~ " else 0 end") %}
    {%- do own.update({behaviour["name"]: [likeness[-1]]}) %}
{%- endfor %}
{%- for band in ["band_day", "came_before"] + bands %}
    {%- do likeness.append(band ~ " * " ~ 2 ** (behaviours | length) * 100**loop.index0) %}
    {%- for behaviour in behaviours if band == "band_" ~ behaviour["measure"] %}
        {%- do own[behaviour["name"]].append(likeness[-1]) %}
    {%- endfor %}
{%- endfor %}
{%- set day_rows, user_rows, outcome_rows = [], [], [] %}
{%- for behaviour in behaviours %}
    {%- set name = behaviour["name"] %}
    {%- set stratum = "cast(likeness - (" ~ own[name] | join(" + ") ~ ") as bigint)" %}
    {%- do day_rows.append([text_literal(name), "before_" ~ name, "by_" ~ name, stratum]) %}
    {%- for window in windows %}
        {%- do reached.append("level_" ~ name ~ "_" ~ window) %}
        {%- do user_rows.append([text_literal(name), window, reached[-1]]) %}
    {%- endfor %}
{%- endfor %}
{%- for outcome in outcomes %}
    {%- do outcome_rows.append([text_literal(outcome["name"]), "came_" ~ outcome["name"]]) %}
{%- endfor %}
{%- set candidate = ["outcome", "behaviour", "done_count", "within_days"] %}
{%- set figures = [
    "difference",
    "difference_low",
    "difference_high",
    "p_value",
    "adjusted_p_value",
    "matched_with_count",
    "matched_without_count",
    "matched_difference",
    "matched_low",
    "matched_high",
    "matched_p_value",
    "matched_adjusted_p_value",
] %}

with
    clock as (select as_of, {{ days_after("as_of", -last_day) }} as settled_on from {{ ref("int_clock") }}),
    {#- Nobody's first days are known before something was. -#}
    observed as (select min(activity_on) as from_on from {{ ref("int_user_day") }}),
    cohort as (
        select
            clock.settled_on as to_on,
            greatest(
                {{ days_after("clock.settled_on", 1 - rules["cohort_days"]) }},
                coalesce(observed.from_on, clock.settled_on)
            ) as from_on
        from clock
        cross join observed
    ),
    users as (
        select user_id, registered_at, registered_on
        from {{ ref("int_user") }}
        where
            known_to_on is null
            and registered_on <= (select to_on from cohort)
            and registered_on >= (select from_on from cohort)
    ),
    days as (
        select
            users.user_id,
            {{ days_between("users.registered_on", "days.activity_on") }} as day,
            case
                when
                    days.activity_on = users.registered_on
                    and {{ epoch_micros("users.registered_at") }} - {{ epoch_micros("days.first_active_at") }}
                    > 1800000000
                then 1
                else 0
            end as came_before
            {%- for measure in counted %}, days.{{ measure }} {%- endfor %}
        from users
        inner join
            {{ ref("int_user_day") }} as days
            on users.user_id = days.user_id
            and days.activity_on >= users.registered_on
            and days.activity_on < {{ days_after("users.registered_on", windows | max) }}
        where days.activity_on >= (select from_on from cohort)
    ),
    dates as ({{ activity_dates(outcomes | map(attribute="activity") | unique | list) }}),
    later as (
        select
            users.user_id
            {%- for outcome in outcomes %}
                ,
                max(
                    case
                        when
                            dates.did_{{ outcome["activity"] }} = 1
                            and dates.activity_on >= {{ days_after("users.registered_on", outcome["from_day"]) }}
                            and dates.activity_on <= {{ days_after("users.registered_on", outcome["to_day"]) }}
                        then 1
                        else 0
                    end
                ) as came_{{ outcome["name"] }}
            {%- endfor %}
        from users
        inner join dates on users.user_id = dates.user_id and dates.activity_on > users.registered_on
        where dates.activity_on >= (select from_on from cohort)
        group by users.user_id
    ),
    {#- Every first day on which a user was there: what they had done before it and by its end. -#}
    running as (
        select
            user_id,
            day,
            max(came_before) over (partition by user_id) as came_before
            {%- for measure in counted %}
                , {{ measure }}, sum({{ measure }}) over so_far as so_far_{{ measure }}
            {%- endfor %}
        from days
        window so_far as (partition by user_id order by day rows unbounded preceding)
    ),
    placed as (
        select
            running.user_id,
            running.day,
            running.came_before,
            {{ band_of("running.day", windows) }} as band_day
            {%- for behaviour in behaviours %}
                {%- set measure = behaviour["measure"] %},
                {{ band_of("running.so_far_" ~ measure ~ " - running." ~ measure, rules["counts"]) }}
                as before_{{ behaviour["name"] }},
                {{ band_of("running.so_far_" ~ measure, rules["counts"]) }} as by_{{ behaviour["name"] }}
            {%- endfor %}
            {%- for each in rules["adjust_for"] %}
                , {{ band_of("running.so_far_" ~ each["measure"], each["bounds"]) }} as band_{{ each["measure"] }}
            {%- endfor %}
            {%- for name in came %}, coalesce(later.{{ name }}, 0) as {{ name }} {%- endfor %}
        from running
        left join later on running.user_id = later.user_id
        where running.active_days > 0 {%- for measure in measures %} or running.{{ measure }} > 0 {%- endfor %}
    ),
    {#-
        Few groups stand for many days before each behaviour and outcome becomes a row of its own. The day of registration of who had been
        there before registering is not compared: visits of the two kinds of people on it tell different things.
    -#}
    day_groups as (
        select
            band_day,
            {{ likeness | join(" + ") }} as likeness,
            {{ (["came_before"] + bands + so_far + came) | join(", ") }},
            count(*) as day_count
        from placed
        where band_day > 0 or came_before = 0
        group by band_day, {{ (["came_before"] + bands + so_far + came) | join(", ") }}
    ),
    by_behaviour as (
        {{
            as_rows(
                "day_groups",
                ["behaviour", "level_before", "level_by", "stratum"],
                day_rows,
                keep=["band_day"] + came + ["day_count"],
            )
        }}
    ),
    regrouped as (
        select
            band_day, behaviour, level_before, level_by, stratum, {{ came | join(", ") }}, sum(day_count) as day_count
        from by_behaviour
        group by band_day, behaviour, level_before, level_by, stratum, {{ came | join(", ") }}
    ),
    by_outcome as (
        {{
            as_rows(
                "regrouped",
                ["outcome", "has_come"],
                outcome_rows,
                keep=["band_day", "behaviour", "level_before", "level_by", "stratum", "day_count"],
            )
        }}
    ),
    lengths as (
        {%- for window in windows %}
            select {{ window }} as within_days, {{ loop.index0 }} as last_band {{ "union all " if not loop.last }}
        {%- endfor %}
    ),
    counts as (
        {%- for count in rules["counts"] %}
            select {{ count }} as done_count, {{ loop.index }} as level {{ "union all " if not loop.last }}
        {%- endfor %}
    ),
    {#- On a day, whoever had not done it often enough before either comes to have, or is a like who has not yet. -#}
    likes as (
        select
            by_outcome.outcome,
            by_outcome.behaviour,
            counts.done_count,
            lengths.within_days,
            by_outcome.stratum,
            sum(case when by_outcome.level_by >= counts.level then by_outcome.day_count else 0 end) as with_count,
            sum(
                case when by_outcome.level_by >= counts.level then by_outcome.day_count * by_outcome.has_come else 0 end
            ) as with_outcome,
            sum(case when by_outcome.level_by < counts.level then by_outcome.day_count else 0 end) as without_count,
            sum(
                case when by_outcome.level_by < counts.level then by_outcome.day_count * by_outcome.has_come else 0 end
            ) as without_outcome
        from by_outcome
        inner join lengths on by_outcome.band_day <= lengths.last_band
        inner join counts on by_outcome.level_before < counts.level
        group by by_outcome.outcome, by_outcome.behaviour, counts.done_count, lengths.within_days, by_outcome.stratum
    ),
    {#- Users as a whole, those who never came included: how often by the end of each window. -#}
    levels as (
        select
            user_id
            {%- for behaviour in behaviours %}
                {%- for window in windows %}
                    ,
                    max(
                        case when day < {{ window }} then by_{{ behaviour["name"] }} else 0 end
                    ) as level_{{ behaviour["name"] }}_{{ window }}
                {%- endfor %}
            {%- endfor %}
        from placed
        group by user_id
    ),
    members as (
        select
            users.user_id
            {%- for level in reached %}, coalesce(levels.{{ level }}, 0) as {{ level }} {%- endfor %}
            {%- for name in came %}, coalesce(later.{{ name }}, 0) as {{ name }} {%- endfor %}
        from users
        left join levels on users.user_id = levels.user_id
        left join later on users.user_id = later.user_id
    ),
    user_groups as (
        select {{ (reached + came) | join(", ") }}, count(*) as user_count
        from members
        group by {{ (reached + came) | join(", ") }}
    ),
    users_by_behaviour as (
        {{ as_rows("user_groups", ["behaviour", "within_days", "level"], user_rows, keep=came + ["user_count"]) }}
    ),
    users_regrouped as (
        select behaviour, within_days, level, {{ came | join(", ") }}, sum(user_count) as user_count
        from users_by_behaviour
        group by behaviour, within_days, level, {{ came | join(", ") }}
    ),
    users_by_outcome as (
        {{
            as_rows(
                "users_regrouped",
                ["outcome", "has_come"],
                outcome_rows,
                keep=["behaviour", "within_days", "level", "user_count"],
            )
        }}
    ),
    labels as (
        {%- for behaviour in behaviours %}
            select
                {{ text_literal(behaviour["name"]) }} as behaviour,
                {{ text_literal(behaviour["label"]) }} as label
                {{ "union all " if not loop.last }}
        {%- endfor %}
    ),
    outcome_labels as (
        {%- for outcome in outcomes %}
            select
                {{ text_literal(outcome["name"]) }} as outcome,
                {{ text_literal(outcome["label"]) }} as outcome_label
                {{ "union all " if not loop.last }}
        {%- endfor %}
    ),
    {#- A candidate is a row also where nobody registered. -#}
    totals as (
        select
            outcome_labels.outcome,
            labels.behaviour,
            counts.done_count,
            lengths.within_days,
            coalesce(sum(case when per_user.level >= counts.level then per_user.user_count end), 0) as with_count,
            coalesce(
                sum(case when per_user.level >= counts.level then per_user.user_count * per_user.has_come end), 0
            ) as with_outcome,
            coalesce(sum(case when per_user.level < counts.level then per_user.user_count end), 0) as without_count,
            coalesce(
                sum(case when per_user.level < counts.level then per_user.user_count * per_user.has_come end), 0
            ) as without_outcome
        from outcome_labels
        cross join labels
        cross join counts
        cross join lengths
        left join
            users_by_outcome as per_user
            on outcome_labels.outcome = per_user.outcome
            and labels.behaviour = per_user.behaviour
            and lengths.within_days = per_user.within_days
        group by outcome_labels.outcome, labels.behaviour, counts.done_count, lengths.within_days
    ),
    {{ like_with_like("totals", "likes", candidate, rules) }},
    concluded as (
        select
            outcome,
            behaviour,
            done_count,
            within_days,
            with_count,
            with_outcome,
            without_count,
            without_outcome,
            {{ figures | join(",\n            ") }},
            eligibility,
            case
                when eligibility <> 'eligible'
                then 'not_eligible'
                when matched_adjusted_p_value <= {{ rules["false_discovery_rate"] }} and matched_difference > 0
                then 'holds'
                when matched_adjusted_p_value <= {{ rules["false_discovery_rate"] }}
                then 'hinders'
                when adjusted_p_value <= {{ rules["false_discovery_rate"] }} and difference > 0
                then 'correlates_only'
                else 'no_association'
            end as verdict
        from comparisons
    ),
    chosen as (
        {%- for step in value_chain() %}
            select
                {{ text_literal(step["behaviour"]) }} as behaviour,
                {{ step["count"] }} as done_count,
                {{ step["within_days"] }} as within_days,
                {{ text_literal("experiment: " ~ step["confirmed_by"] if step.get("confirmed_by") else "association") }}
                as evidence
            union all
        {%- endfor %}
        select '' as behaviour, 0 as done_count, 0 as within_days, '' as evidence
        where false
    )

select
    concluded.outcome,
    outcome_labels.outcome_label,
    cast(
        row_number() over (
            partition by concluded.outcome
            order by
                case
                    concluded.verdict
                    when 'holds'
                    then 1
                    when 'correlates_only'
                    then 2
                    when 'no_association'
                    then 3
                    when 'hinders'
                    then 4
                    else 5
                end,
                {#- The lower bound of a 99.9 % interval: that of one of 95 %, 3.29 instead of 1.96 standard errors away. -#}
                concluded.matched_difference
                - 1.679 * (concluded.matched_difference - concluded.matched_low) desc nulls last,
                concluded.behaviour,
                concluded.done_count,
                concluded.within_days
        ) as bigint
    ) as place,
    concluded.behaviour,
    labels.label,
    cast(concluded.done_count as bigint) as done_count,
    cast(concluded.within_days as bigint) as within_days,
    cohort.from_on,
    cohort.to_on,
    concluded.with_count + concluded.without_count as user_count,
    concluded.with_count,
    concluded.with_outcome as outcome_with_count,
    concluded.without_count,
    concluded.without_outcome as outcome_without_count,
    {{ share("concluded.with_outcome", "concluded.with_count") }} as with_share,
    {{ share("concluded.without_outcome", "concluded.without_count") }} as without_share,
    {%- for figure in figures %} concluded.{{ figure }}, {%- endfor %}
    concluded.eligibility,
    concluded.verdict,
    case
        concluded.verdict
        when 'holds'
        then '同类用户中仍成立'
        when 'correlates_only'
        then '仅相关'
        when 'no_association'
        then '无关联'
        when 'hinders'
        then '反向关联'
        else '不可比'
    end as verdict_label,
    coalesce(chosen.evidence, 'association') as evidence,
    chosen.evidence is not null as is_chosen
from concluded
cross join cohort
inner join labels on concluded.behaviour = labels.behaviour
inner join outcome_labels on concluded.outcome = outcome_labels.outcome
left join
    chosen
    on concluded.behaviour = chosen.behaviour
    and concluded.done_count = chosen.done_count
    and concluded.within_days = chosen.within_days

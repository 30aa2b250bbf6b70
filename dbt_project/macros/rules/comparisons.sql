{#-
    CTEs that end in `comparisons`: how much more (or less) often something became of those with a thing than of those without, crude and
    among likes. `totals` has the columns of `keys`, with_count, with_outcome, without_count, without_outcome; `likes` has the same for each
    `stratum` of likes, also where a stratum holds nobody.

    Crude: the difference of the two shares with Newcombe's interval and the pooled z-test. Matched: differences within strata, weighted as
    by Mantel and Haenszel (Journal of the National Cancer Institute 22, 1959), with Sato's variance (Biometrics 45, 1989), which holds for
    few large strata and for many small ones, and the test of Cochran, Mantel and Haenszel without correction. A stratum where all or none
    have it compares nobody and counts for nothing. Sums are taken over decimals, whose order does not matter. P-values are adjusted over
    all rows at once. `rules` gives least_users and least_expected.
-#}
{% macro like_with_like(totals, likes, keys, rules) -%}
    {%- set per = keys | join(", ") -%}
    {%- set n, m, a, b = (
        "cast(with_count as double)",
        "cast(without_count as double)",
        "cast(with_outcome as double)",
        "cast(without_outcome as double)",
    ) -%}
    {#- Of nobody, nothing divides by zero. -#}
    {%- set both = "greatest(" ~ n ~ " + " ~ m ~ ", 1)" -%}
    {%- set terms = {
        "weight": n ~ " * " ~ m ~ " / " ~ both,
        "excess": "(" ~ a ~ " * " ~ m ~ " - " ~ b ~ " * " ~ n ~ ") / " ~ both,
        "sato_p": "("
        ~ n
        ~ " * "
        ~ n
        ~ " * "
        ~ b
        ~ " - "
        ~ m
        ~ " * "
        ~ m
        ~ " * "
        ~ a
        ~ " + "
        ~ n
        ~ " * "
        ~ m
        ~ " * ("
        ~ m
        ~ " - "
        ~ n
        ~ ") / 2) / ("
        ~ both
        ~ " * "
        ~ both
        ~ ")",
        "sato_q": "("
        ~ a
        ~ " * ("
        ~ m
        ~ " - "
        ~ b
        ~ ") + "
        ~ b
        ~ " * ("
        ~ n
        ~ " - "
        ~ a
        ~ ")) / (2 * "
        ~ both
        ~ ")",
        "variance": "case when with_count + without_count > 1 then "
        ~ n
        ~ " * "
        ~ m
        ~ " * ("
        ~ a
        ~ " + "
        ~ b
        ~ ") * ("
        ~ both
        ~ " - "
        ~ a
        ~ " - "
        ~ b
        ~ ") / ("
        ~ both
        ~ " * "
        ~ both
        ~ " * ("
        ~ both
        ~ " - 1)) else 0 end",
    } -%}
    strata as (
        select
            {{ per }},
            case when with_count > 0 and without_count > 0 then with_count else 0 end as matched_with,
            case when with_count > 0 and without_count > 0 then without_count else 0 end as matched_without,
            {%- for name, term in terms.items() %}
                {{ rounded(term, 28, 12) }} as {{ name }}{{ "," if not loop.last }}
            {%- endfor %}
        from {{ likes }}
    ),
    summed as (
        select
            {{ per }},
            sum(matched_with) as matched_with,
            sum(matched_without) as matched_without,
            {%- for name in terms %}
                cast(sum({{ name }}) as double) as {{ name }}{{ "," if not loop.last }}
            {%- endfor %}
        from strata
        group by {{ per }}
    ),
    judged as (
        select
            {%- for key in keys %} totals.{{ key }}, {%- endfor %}
            totals.with_count,
            totals.with_outcome,
            totals.without_count,
            totals.without_outcome,
            coalesce(summed.matched_with, 0) as matched_with,
            coalesce(summed.matched_without, 0) as matched_without,
            {%- for name in terms %} summed.{{ name }}, {%- endfor %}
            case
                when totals.with_count < {{ rules["least_users"] }}
                then 'not_eligible: fewer than {{ rules["least_users"] }} users with it'
                when totals.without_count < {{ rules["least_users"] }}
                then 'not_eligible: fewer than {{ rules["least_users"] }} users without it'
                when
                    least(totals.with_count, totals.without_count) * least(
                        totals.with_outcome + totals.without_outcome,
                        totals.with_count + totals.without_count - totals.with_outcome - totals.without_outcome
                    )
                    < {{ rules["least_expected"] }} * (totals.with_count + totals.without_count)
                then 'not_eligible: fewer than {{ rules["least_expected"] }} expected in a cell'
                when
                    coalesce(least(summed.matched_with, summed.matched_without), 0) < {{ rules["least_users"] }}
                    or summed.variance = 0
                then 'not_eligible: fewer than {{ rules["least_users"] }} have a like to be compared with'
                else 'eligible'
            end as eligibility
        from {{ totals }} as totals
        left join
            summed
            on {% for key in keys -%} totals.{{ key }} = summed.{{ key }} {{- " and " if not loop.last }} {%- endfor %}
    ),
    bounded as (
        select
            {{ per }},
            {{ proportion("with_outcome", "with_count") }} as p,
            {{ wilson("with_outcome", "with_count", -1) }} as p_low,
            {{ wilson("with_outcome", "with_count", 1) }} as p_high,
            {{ proportion("without_outcome", "without_count") }} as q,
            {{ wilson("without_outcome", "without_count", -1) }} as q_low,
            {{ wilson("without_outcome", "without_count", 1) }} as q_high,
            {{ proportion("(with_outcome + without_outcome)", "(with_count + without_count)") }} as pooled,
            cast(with_count as double) as m,
            cast(without_count as double) as n,
            excess / weight as matched_difference,
            greatest(excess / weight * sato_p + sato_q, 0) / (weight * weight) as matched_variance,
            excess / sqrt(variance) as matched_z
        from judged
        where eligibility = 'eligible'
    ),
    valued as (
        select
            {{ per }},
            p - q as difference,
            {{ newcombe("p", "q", -1) }} as difference_low,
            {{ newcombe("p", "q", 1) }} as difference_high,
            {{ normal_p_value("((p - q) / sqrt(pooled * (1 - pooled) * (1 / m + 1 / n)))") }} as p_value,
            matched_difference,
            matched_difference - {{ normal_quantile() }} * sqrt(matched_variance) as matched_low,
            matched_difference + {{ normal_quantile() }} * sqrt(matched_variance) as matched_high,
            {{ normal_p_value("matched_z") }} as matched_p_value
        from bounded
    ),
    {%- set figures = [
        "difference",
        "difference_low",
        "difference_high",
        "p_value",
        "matched_difference",
        "matched_low",
        "matched_high",
        "matched_p_value",
    ] %}
    crudely_adjusted as ({{ false_discoveries("valued", keys + figures, "p_value", "adjusted_p_value") }}),
    adjusted as (
        {{
            false_discoveries(
                "crudely_adjusted",
                keys + figures + ["adjusted_p_value"],
                "matched_p_value",
                "matched_adjusted_p_value",
            )
        }}
    ),
    comparisons as (
        select
            {%- for key in keys %} judged.{{ key }}, {%- endfor %}
            cast(judged.with_count as bigint) as with_count,
            cast(judged.with_outcome as bigint) as with_outcome,
            cast(judged.without_count as bigint) as without_count,
            cast(judged.without_outcome as bigint) as without_outcome,
            cast(judged.matched_with as bigint) as matched_with_count,
            cast(judged.matched_without as bigint) as matched_without_count,
            judged.eligibility,
            {%- for figure in figures %}
                {%- set places = 9 if figure.endswith("p_value") else 6 %}
                {{ rounded("adjusted." ~ figure, 18 if places == 9 else 9, places) }} as {{ figure }},
            {%- endfor %}
            {{ rounded("adjusted.adjusted_p_value", 18, 9) }} as adjusted_p_value,
            {{ rounded("adjusted.matched_adjusted_p_value", 18, 9) }} as matched_adjusted_p_value
        from judged
        left join
            adjusted
            on {% for key in keys -%}
                judged.{{ key }} = adjusted.{{ key }} {{- " and " if not loop.last }}
            {%- endfor %}
    )
{%- endmacro %}

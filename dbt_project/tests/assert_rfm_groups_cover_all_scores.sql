-- One row per score triple without exactly one group and its label, and one per group that no triple falls into.
with
    digits as (
        {%- for digit in range(1, 6) %}select {{ digit }} as digit {{ "union all " if not loop.last }} {%- endfor %}
    ),
    triples as (
        select
            recency.digit as r,
            frequency.digit as f,
            monetary.digit as m,
            cast(floor((frequency.digit + monetary.digit + 1) / 2.0) as integer) as fm
        from digits as recency
        cross join digits as frequency
        cross join digits as monetary
    ),
    grouped as (select r, f, m, {{ rfm_group() }} as rfm_group from triples),
    labelled as (select r, f, m, rfm_group, {{ rfm_label("rfm_group") }} as label from grouped),
    declared_groups as (
        {%- for group in rfm_groups() %}
            select
                {{ text_literal(group["name"]) }} as rfm_group,
                {{ text_literal(group["label"]) }} as label
                {{ "union all " if not loop.last }}
        {%- endfor %}
    )

select labelled.rfm_group, labelled.r, labelled.f, labelled.m
from labelled
left join declared_groups on labelled.rfm_group = declared_groups.rfm_group and labelled.label = declared_groups.label
group by labelled.rfm_group, labelled.r, labelled.f, labelled.m
having count(declared_groups.rfm_group) <> 1
union all
select declared_groups.rfm_group, cast(null as integer) as r, cast(null as integer) as f, cast(null as integer) as m
from declared_groups
left join grouped on declared_groups.rfm_group = grouped.rfm_group
where grouped.rfm_group is null

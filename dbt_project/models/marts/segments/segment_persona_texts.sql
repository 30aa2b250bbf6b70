{%- set rules = persona_rules() -%}

with
    traits as (
        select
            segment,
            kind,
            trait,
            value,
            label,
            user_share,
            rest_share,
            difference,
            segment_user_count,
            base_size_count,
            case
                when kind = 'tag' then replace(trait, '_', ' ') else replace(trait, '_', ' ') || ' ' || value
            end as name_en,
            case when kind = 'tag' then label else label || ' ' || value end as name_zh,
            case
                when is_distinct and not is_by_rule and user_count between 1 and segment_user_count - 1
                then case when difference > 0 then 1 else -1 end
            end as side
        from {{ ref("segment_personas") }}
    ),
    ranked as (
        select
            segment,
            side,
            name_en || ' ' || {{ percent("user_share") }} || ' (' || {{ percent("rest_share") }} || ')' as line_en,
            name_zh || ' ' || {{ percent("user_share") }} || '（' || {{ percent("rest_share") }} || '）' as line_zh,
            row_number() over (partition by segment, side order by abs(difference) desc, kind, trait, value) as place
        from traits
        where side is not null
    ),
    gathered as (
        select
            segment,
            {{ listagg("case when side = 1 then line_en end", "; ", "place") }} as more_en,
            {{ listagg("case when side = -1 then line_en end", "; ", "place") }} as less_en,
            {{ listagg("case when side = 1 then line_zh end", "；", "place") }} as more_zh,
            {{ listagg("case when side = -1 then line_zh end", "；", "place") }} as less_zh
        from ranked
        where place <= {{ rules["lines"] }}
        group by segment
    ),
    sizes as (
        select segment, max(segment_user_count) as user_count, max(base_size_count) as base_size_count
        from traits
        group by segment
    ),
    labels as (
        {%- for segment in segments() %}
            select
                {{ text_literal(segment["name"]) }} as segment,
                {{ text_literal(segment["label"]) }} as label
                {{- " union all" if not loop.last }}
        {%- endfor %}
    ),
    measured as (
        select
            labels.segment,
            labels.label,
            cast(coalesce(sizes.user_count, 0) as bigint) as user_count,
            {{ share("sizes.user_count", "sizes.base_size_count") }} as user_share
        from labels
        left join sizes on labels.segment = sizes.segment
    )

select
    measured.segment,
    measured.label,
    measured.user_count,
    measured.user_share,
    case
        when measured.user_count = 0
        then 'Nobody is in this segment.'
        else
            cast(measured.user_count as string)
            || ' users, '
            || {{ percent("measured.user_share") }}
            || ' of all.'
            || coalesce(' More often than others: ' || gathered.more_en || '.', '')
            || coalesce(' Less often: ' || gathered.less_en || '.', '')
            || case when gathered.segment is null then ' Nothing told them apart from others for sure.' else '' end
    end as persona,
    case
        when measured.user_count = 0
        then '目前没有用户。'
        else
            '共'
            || cast(measured.user_count as string)
            || '人，占全部用户的'
            || {{ percent("measured.user_share") }}
            || '。'
            || coalesce('比其他用户更常见：' || gathered.more_zh || '。', '')
            || coalesce('更少见：' || gathered.less_zh || '。', '')
            || case when gathered.segment is null then '与其他用户没有可靠的差别。' else '' end
    end as persona_zh
from measured
left join gathered on measured.segment = gathered.segment

{{ config(materialized="table") }}

{#- Without a word of anybody this table is empty, and joining it costs nothing. -#}
with
    nights as (select night_on from {{ ref("int_night") }} where is_in_window),
    words as (
        select user_id, tag, is_carried, from_on, to_on
        from {{ ref("int_manual_tag") }}
        where to_on is null or to_on > from_on
    )

select
    words.user_id,
    nights.night_on
    {%- for tag in tags() %}
        , max(case when words.tag = {{ text_literal(tag["name"]) }} then words.is_carried end) as {{ tag["name"] }}
    {%- endfor %}
from words
inner join nights on nights.night_on >= words.from_on and (words.to_on is null or nights.night_on < words.to_on)
group by words.user_id, nights.night_on

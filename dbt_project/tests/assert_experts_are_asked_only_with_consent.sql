-- One row per contactable expert whose latest consents, judged by the raw rows themselves, do not include the declared
-- one.
{%- set rules = expert_rules() %}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    experts as (select user_id from {{ ref("expert_directory") }} where is_contactable),
    changes as (
        select
            user_id,
            lower(trim(contact_point)) as point,
            state,
            row_number() over (
                partition by user_id, channel, purpose, contact_point
                order by changed_at desc, arrived_on desc, source_row desc, source_name desc, source_file desc
            ) as change_rank
        from {{ source("raw", "consents") }}
        where
            arrived_on <= (select as_of from clock)
            and channel = {{ text_literal(rules.get("channel", "")) }}
            and purpose = {{ text_literal(rules.get("purpose", "")) }}
    ),
    withdrawn as (select point from changes where change_rank = 1 and state = 'unsubscribed'),
    granted as (
        select user_id
        from changes
        where change_rank = 1 and state = 'subscribed' and point not in (select point from withdrawn)
    )

select user_id
from experts
where user_id not in (select user_id from granted)

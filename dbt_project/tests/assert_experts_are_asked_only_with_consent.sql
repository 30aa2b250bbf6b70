-- One row per contactable expert who may not be written to, judged by the raw consents and suppressions themselves.
{% set rules = expert_rules() %}
{% set contacts %}
    select distinct
        'experts' as asked_for,
        experts.user_id,
        {{ text_literal(rules.get("channel", "")) }} as channel,
        {{ text_literal(rules.get("purpose", "")) }} as purpose,
        lower(trim(points.contact_point)) as point
    from {{ ref("expert_directory") }} as experts
    left join
        {{ ref("int_contact_point") }} as points
        on experts.user_id = points.user_id
        and points.channel = {{ text_literal(rules.get("channel", "")) }}
    where experts.is_contactable
{%- endset %}
{{ forbidden_contacts(contacts) }}

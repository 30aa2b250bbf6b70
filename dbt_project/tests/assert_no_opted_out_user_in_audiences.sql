-- One row per user on a list who may not be written to at that address, judged by the raw consents and suppressions
-- themselves.
{% set contacts %}
    select
        audiences.audience as asked_for,
        audiences.user_id,
        lists.channel,
        lists.purpose,
        lower(trim(audiences.contact_point)) as point
    from {{ ref("audiences") }} as audiences
    inner join ({{ contact_list_rows() }}) as lists on audiences.audience = lists.audience
{%- endset %}
{{ forbidden_contacts(contacts) }}

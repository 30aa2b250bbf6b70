{%- set rule_first = tags() | selectattr("precedence", "equalto", "rule") | map(attribute="name") | list -%}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    words as (
        select tagged_user_id, user_id, tag, author, tagged_at, is_carried, from_on, to_on, expires_on, replaced_on
        from {{ ref("int_manual_tag") }}
    ),
    bits as ({{ tag_bits() }}),
    users as (select user_id from {{ ref("int_user") }} where known_to_on is null),
    judged as (
        select
            words.tagged_user_id,
            words.user_id,
            words.tag,
            words.author,
            words.tagged_at,
            words.is_carried,
            words.from_on,
            words.to_on,
            case
                when bits.tag is null
                then 'unknown_tag'
                when users.user_id is null
                then 'unknown_user'
                when words.expires_on <= clock.as_of and words.to_on = words.expires_on
                then 'expired'
                when words.replaced_on <= clock.as_of
                then 'replaced'
                when words.tag in ({{ text_list(rule_first) }})
                then 'rule_first'
                else 'in_force'
            end as outcome
        from words
        cross join clock
        left join bits on words.tag = bits.tag
        left join users on words.user_id = users.user_id
    )

select
    tagged_user_id,
    user_id,
    tag,
    author,
    tagged_at,
    is_carried,
    from_on,
    to_on,
    outcome,
    case
        outcome
        when 'unknown_tag'
        then
            'There is no tag of this name, so it counts for nothing; correct the name, or add the tag to rules/tags.yml.'
        when 'unknown_user'
        then
            'No user of this id is known, or the user is left out (test, bot, internal), so it counts for nothing; check the id.'
        when 'expired'
        then 'It counted until its expiry; say it again if it still holds.'
        when 'replaced'
        then 'A later word on the same tag of the same user took its place.'
        when 'rule_first'
        then 'The rule of this tag comes first, so it counts only while the rule knows nothing of the user.'
        else 'It counts.'
    end as sentence
from judged

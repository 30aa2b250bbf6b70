with
    transitions as (select night_on, from_stage, to_stage, user_count from {{ ref("lifecycle_transitions_daily") }}),
    {{ flows("transitions", "stage", "stage") }}

select night_on, stage, opening_count, entered_count, left_count, closing_count
from flows

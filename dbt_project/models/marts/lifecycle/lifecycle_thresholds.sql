select
    version_on,
    category,
    learned_to_on,
    purchase_day_count,
    gap_count,
    {{ share("gap_count", "purchase_day_count") }} as return_share,
    source,
    {{ gap_thresholds().keys() | join(", ") }}
from {{ ref("int_gap_threshold") }}

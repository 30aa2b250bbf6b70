-- Every column of int_user_features that is named a share is one.
{%- set shares = [] -%}
{%- for column in columns_of_int_user_features() if "_share" in column -%}
    {%- do shares.append(column) -%}
{%- endfor %}

with features as (select user_id, night_on, {{ shares | join(", ") }} from {{ ref("int_user_features") }})

select user_id, night_on
from features
where {%- for column in shares %} {{ column }} not between 0 and 1 {{ "or" if not loop.last }} {%- endfor %}

{#-
    What users bring to the others and to the shop: window, weights, the rule of core users and the limits of service, as declared at
    user_contribution; how an invitation counts, as declared there too.
-#}
{% macro contribution_rules() -%} {{ return(rules_of_user_contribution()["contribution"]) }} {%- endmacro %}

{% macro referral_rules() -%} {{ return(rules_of_user_contribution()["referrals"]) }} {%- endmacro %}

{#- Weights of the score and tiers of opinion leaders, as declared at kol. -#}
{% macro kol_rules() -%} {{ return(rules_of_kol()) }} {%- endmacro %}

{#- Weights, window and the consent needed, as declared at expert_directory. -#}
{% macro expert_rules() -%} {{ return(rules_of_expert_directory()["experts"]) }} {%- endmacro %}

{#- The parts of a contribution, each with the column of int_user_community that measures it. -#}
{% macro contribution_parts() -%}
    {{
        return(
            {
                "spend": "spend_amount",
                "content": "content_points",
                "referrals": "referral_points",
                "influence": "audience_count",
            }
        )
    }}
{%- endmacro %}

{#- Counts times their declared weights, added up; `columns` says which column each weight is for. -#}
{% macro weighted(weights, columns) -%}
    {%- set terms = [] -%}
    {%- for name, column in columns.items() if weights.get(name) -%}
        {%- do terms.append(weights[name] ~ " * " ~ column) -%}
    {%- endfor -%}
    {{ return("cast(" ~ (terms | join(" + ") or "0") ~ " as bigint)") }}
{%- endmacro %}

{#- The columns that the points of content, of referrals, of opinion leaders and of experts are made of, by the name of their weight. -#}
{% macro content_counts() -%}
    {{ return({"post": "post_count", "answer": "answer_count", "comment": "comment_count", "share": "share_count"}) }}
{%- endmacro %}

{% macro referral_counts() -%}
    {{ return({"activated": "activated_invitee_count", "paid": "paid_invitee_count"}) }}
{%- endmacro %}

{% macro kol_counts() -%}
    {{
        return(
            dict(
                content_counts(),
                follower="follower_count",
                reshare="reshare_count",
                audience="audience_count",
                paid="paid_invitee_count",
            )
        )
    }}
{%- endmacro %}

{% macro expert_counts() -%}
    {{ return(dict(content_counts(), reaction="reaction_count", audience="audience_count")) }}
{%- endmacro %}

{#- The tier of a row of int_user_community: the first one that matches; null where none does. -#}
{% macro kol_tier() -%}
    {%- set tiers = kol_rules()["tiers"] -%}
    {%- if tiers -%}
        case {%- for tier in tiers %} when {{ tier["when"] }} then {{ text_literal(tier["name"]) }} {%- endfor %} end
    {%- else -%} cast(null as string)
    {%- endif -%}
{%- endmacro %}

{#- What people call a tier. -#}
{% macro kol_tier_label(tier) -%}
    {%- set tiers = kol_rules()["tiers"] -%}
    {%- if tiers -%}
        case
            {%- for each in tiers %}
                when {{ tier }} = {{ text_literal(each["name"]) }} then {{ text_literal(each["label"]) }}
            {%- endfor %}
        end
    {%- else -%} cast(null as string)
    {%- endif -%}
{%- endmacro %}

{#- Columns of int_user_community that rules see beside the features. -#}
{% macro community_columns() -%}
    {{ return(["contribution_share", "is_core_user", "kol_score", "kol_tier"]) }}
{%- endmacro %}

{#-
    Shares compared: intervals and p-values in plain arithmetic, the same on every engine. Arguments are counts; results are doubles,
    which a model rounds once, where it publishes them.
-#}
{#- The standard normal quantile of 0.975, for two-sided intervals of 95 %. -#}
{% macro normal_quantile() -%} 1.959963984540054 {%- endmacro %}

{#- part / whole as a double. -#}
{% macro proportion(part, whole) -%} (cast({{ part }} as double) / cast({{ whole }} as double)) {%- endmacro %}

{#-
    One bound of Wilson's 95 % score interval of a proportion; `side` is -1 for the lower, 1 for the upper.
    Wilson, Journal of the American Statistical Association 22, 1927.
-#}
{% macro wilson(part, whole, side) -%}
    {%- set z = normal_quantile() -%}
    {%- set p, n = proportion(part, whole), "cast(" ~ whole ~ " as double)" -%}
    (
        (
            {{ p }}
            + {{ z }} * {{ z }} / (2 * {{ n }})
            + {{ side }}
            * {{ z }}
            * sqrt({{ p }} * (1 - {{ p }}) / {{ n }} + {{ z }} * {{ z }} / (4 * {{ n }} * {{ n }}))
        )
        / (1 + {{ z }} * {{ z }} / {{ n }})
    )
{%- endmacro %}

{#-
    The 95 % interval of the difference of two independent proportions from their Wilson bounds: method 10 of Newcombe, Statistics in
    Medicine 17, 1998. `p` and `q` are the proportions, each with bounds named <name>_low and <name>_high; `side` as above.
-#}
{% macro newcombe(p, q, side) -%}
    {%- if side < 0 -%} {%- set near, far = p ~ "_low", q ~ "_high" -%}
    {%- else -%} {%- set near, far = p ~ "_high", q ~ "_low" -%}
    {%- endif -%}
    (
        {{ p }}
        - {{ q }}
        + {{ side }}
        * sqrt(({{ p }} - {{ near }}) * ({{ p }} - {{ near }}) + ({{ q }} - {{ far }}) * ({{ q }} - {{ far }}))
    )
{%- endmacro %}

{#-
    The two-sided p-value of a standard normal score: erfc(|z| / sqrt(2)) by the Chebyshev fit of Press et al., Numerical Recipes, 2nd
    edition, section 6.2, whose relative error is below 1.2e-7 everywhere.
-#}
{% macro normal_p_value(z) -%}
    {%- set x = "(abs(" ~ z ~ ") / 1.4142135623730951)" -%}
    {%- set t = "(1 / (1 + 0.5 * " ~ x ~ "))" -%}
    {%- set fit = namespace(text="0.17087277") -%}
    {%- for term in [
        -0.82215223,
        1.48851587,
        -1.13520398,
        0.27886807,
        -0.18628806,
        0.09678418,
        0.37409196,
        1.00002368,
    ] -%}
        {%- set fit.text = "(" ~ term ~ " + " ~ t ~ " * " ~ fit.text ~ ")" -%}
    {%- endfor -%}
    (cast({{ t }} as double) * exp(-{{ x }} * {{ x }} - 1.26551223 + {{ t }} * {{ fit.text }}))
{%- endmacro %}

{#-
    A select of `columns` of a relation with one more: its p-values adjusted so that of what is called different the expected share of
    false discoveries stays within the rate asked for (Benjamini and Hochberg, Journal of the Royal Statistical Society B 57, 1995). All
    rows that agree in `family` are one family of comparisons; `columns` tell them apart, so that ties have an order.
-#}
{% macro false_discoveries(relation, columns, p_value, adjusted, family=[]) -%}
    {%- set within = "partition by " ~ family | join(", ") ~ " " if family else "" -%}
    select
        {{ columns | join(",\n        ") }},
        least(
            min({{ p_value }} * comparisons / place) over (
                {{ within }} order by place rows between current row and unbounded following
            ),
            1
        ) as {{ adjusted }}
    from
        (
            select
                {{ columns | join(",\n                ") }},
                row_number() over (
                    {{ within }} order by {{ p_value }}, {{ columns | reject("equalto", p_value) | join(", ") }}
                ) as place,
                count(*) over ({{ within | trim }}) as comparisons
            from {{ relation }}
        ) as in_order
{%- endmacro %}

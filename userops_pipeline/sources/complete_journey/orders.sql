-- One row per basket. A basket of 0 without any discount is a bookkeeping entry (void), never a purchase.
with
    baskets as (
        select
            basket_id,
            min(household_id) as household_id,
            min(store_id) as store_id,
            min(transaction_timestamp) as transaction_timestamp,
            sum(cast(sales_value as decimal(18, 2))) as amount,
            sum(
                cast(retail_disc as decimal(18, 2))
                + cast(coupon_disc as decimal(18, 2))
                + cast(coupon_match_disc as decimal(18, 2))
            ) as discount_amount,
            min(_file) as _file,
            min(_row) as _row
        from transactions
        group by basket_id
    )
select
    basket_id as order_id,
    household_id as user_id,
    transaction_timestamp as ordered_at,
    transaction_timestamp as paid_at,
    case when amount > 0 or discount_amount > 0 then 'completed' else 'void' end as status,
    amount,
    discount_amount,
    'USD' as currency,
    store_id as merchant_id,
    _file,
    _row,
    business_date(transaction_timestamp) as _night
from baskets

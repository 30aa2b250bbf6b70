-- One row per ticket: the purchase it is about, told by its day and without what it cost, so one without money. Nothing
-- tells of one that was taken back: all are completed. All are there from the first night on.
with purchases as (select *, try_strptime("Date of Purchase", '%m/%d/%Y') as bought_on from tickets_file)
select
    'purchase of ticket ' || "Ticket ID" as order_id,
    sha256(lower(trim("Customer Email"))) as user_id,
    coalesce(cast(bought_on as varchar), "Date of Purchase") as ordered_at,
    'completed' as status,
    _file,
    _row,
    null as _night
from purchases

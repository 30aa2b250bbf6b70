-- One row per e-mail address, the only thing that tells customers apart: hashed, as an address is no id. 139 addresses
-- stand under several names; the newest ticket is believed. They are known since their first purchase, dated month
-- first and without a time (3/22/2021). All are there from the first night on.
with
    customers as (
        select
            lower(trim("Customer Email")) as address,
            try_strptime("Date of Purchase", '%m/%d/%Y') as bought_on,
            try_cast("Ticket ID" as integer) as ticket,
            *
        from tickets_file
    )
select
    sha256(address) as user_id,
    min(bought_on) as registered_at,
    max_by("Customer Name", ticket) as name,
    address as email,
    lower(max_by("Customer Gender", ticket)) as gender,
    max_by(_file, ticket) as _file,
    max_by(_row, ticket) as _row,
    null as _night
from customers
group by address

-- What membership_benefits counts, over levels and benefits, is every incentive of its window that is a benefit: as
-- many
-- issued, used, and as much worth.
with
    clock as (
        select as_of, {{ days_after("as_of", -rules_of_membership_benefits()["window_days"]) }} as before_on
        from {{ ref("int_clock") }}
    ),
    given as (
        select
            count(*) as issued_count,
            count(case when given.used_on <= clock.as_of then 1 end) as used_count,
            coalesce(sum(given.value), 0) as face_amount,
            coalesce(sum(given.cost), 0) as cost_amount
        from {{ ref("int_benefit") }} as given
        cross join clock
        where given.benefit is not null and given.issued_on > clock.before_on and given.issued_on <= clock.as_of
    ),
    counted as (
        select
            coalesce(sum(issued_count), 0) as issued_count,
            coalesce(sum(used_count), 0) as used_count,
            coalesce(sum(face_amount), 0) as face_amount,
            coalesce(sum(cost_amount), 0) as cost_amount
        from {{ ref("membership_benefits") }}
    )

select given.issued_count, counted.issued_count as counted_count
from given
cross join counted
where
    given.issued_count <> counted.issued_count
    or given.used_count <> counted.used_count
    or given.face_amount <> counted.face_amount
    or given.cost_amount <> counted.cost_amount

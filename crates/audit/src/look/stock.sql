-- Each product beside what its adjustments and its reservations add up to; also those that only the latter know.
with adjusted as (
    select sku, sum(delta)::bigint as seeded from adjustment group by sku
),
item as (
    select it ->> 'sku' as sku, (it ->> 'quantity')::bigint as quantity, status
    from reservation, jsonb_array_elements(items) it
    where status in ('reserved', 'kept', 'deducted')
),
taken as (
    select sku,
        coalesce(sum(quantity) filter (where status <> 'deducted'), 0)::bigint as held,
        coalesce(sum(quantity) filter (where status = 'deducted'), 0)::bigint as gone
    from item group by sku
)
select coalesce(p.sku, t.sku) as sku, coalesce(on_hand, 0) as on_hand, coalesce(reserved, 0) as reserved,
    coalesce(deducted, 0) as deducted, coalesce(seeded, 0) as seeded, coalesce(held, 0) as held,
    coalesce(gone, 0) as gone
from product p
left join adjusted a on a.sku = p.sku
full join taken t on t.sku = p.sku collate "C"

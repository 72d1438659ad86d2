-- Each product beside what its adjustments and its reservations add up to; also those that only the latter know. The
-- numbers are text: what hands have written may add up to more than a bigint. What they have made of an item so that
-- it is none holds nothing, and is missed where its product counts it.
with adjusted as (
    select sku, sum(delta) as seeded from adjustment group by sku
),
item as (
    select it ->> 'sku' as sku, status,
        case when it ->> 'quantity' ~ '^[0-9]{1,18}$' then (it ->> 'quantity')::bigint end as quantity
    from reservation,
        jsonb_array_elements(case jsonb_typeof(items) when 'array' then items else '[]' end) it
    where status in ('reserved', 'kept', 'deducted')
),
taken as (
    select sku,
        sum(quantity) filter (where status <> 'deducted') as held,
        sum(quantity) filter (where status = 'deducted') as gone
    from item where sku is not null group by sku
)
select coalesce(p.sku, t.sku) as sku, coalesce(on_hand, 0)::text as on_hand, coalesce(reserved, 0)::text as reserved,
    coalesce(deducted, 0)::text as deducted, coalesce(seeded, 0)::text as seeded, coalesce(held, 0)::text as held,
    coalesce(gone, 0)::text as gone
from product p
left join adjusted a on a.sku = p.sku
full join taken t on t.sku = p.sku collate "C"

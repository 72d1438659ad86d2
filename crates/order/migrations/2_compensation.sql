-- A cancellation that shipping has not answered, and what comes back after one. Until now neither was shown.
alter table order_view
    add column cancelling boolean not null default false,
    -- Null: nothing was held.
    add column stock_compensation text,
    add column payment_compensation text;

-- The rows become what their events fold to. What has come back so far was not listened for, and is not claimed:
-- it stays pending until it is told again.
update order_view v
set cancelling = true
where v.status = 'confirmed'
    and exists (select from order_event e
                where e.order_id = v.order_id and e.type = 'cancellation-requested.v1');

update order_view v
set stock_compensation = case
        when exists (select from order_event e
                     where e.order_id = v.order_id
                         and e.type in ('cancellation-requested.v1', 'cancelled.v1')
                         and e.data::json ->> 'reason' = 'reservation-expired') then 'done'
        when exists (select from order_event e
                     where e.order_id = v.order_id and e.type = 'stock-noted.v1') then 'pending'
    end,
    payment_compensation = case
        when exists (select from order_event e
                     where e.order_id = v.order_id and e.type = 'payment-noted.v1') then 'pending'
    end
where v.status = 'cancelled';

alter table order_view
    add constraint order_view_cancelling check (not cancelling or status = 'confirmed'),
    add constraint order_view_compensation check (
        stock_compensation in ('pending', 'done') and payment_compensation in ('pending', 'done')),
    -- Only an end in which nothing was sold gives anything back.
    add constraint order_view_compensates check (
        status = 'cancelled' or (stock_compensation is null and payment_compensation is null)),
    -- What was paid for a cancelled order goes back.
    add constraint order_view_refund check (status <> 'cancelled' or not paid or payment_compensation is not null);

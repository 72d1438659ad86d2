-- What shipping knows of each order. The row is also the lock that serialises a shipment's changes, so that of
-- a dispatch and a cancellation one is first.
create table shipment (
    order_id uuid not null,
    -- How many events of this shipment were published: the next ce_sequence less one.
    sequence bigint not null,
    -- 'captured': paid for, and not scheduled yet. 'barred': the order was called off before its shipment was
    -- scheduled; the row stays, so that what comes late finds it.
    status text not null,
    captured boolean not null,
    cancellation_refused boolean not null,
    tracking_number text,
    dispatched_at timestamptz,
    delivered_at timestamptz,
    -- JSON, and the last column: an update that leaves it as it is logs what stands before it.
    ship_to text,
    constraint shipment_pkey primary key (order_id),
    constraint shipment_sequence check (sequence >= 0),
    constraint shipment_status
        check (status in ('captured', 'scheduled', 'dispatched', 'delivered', 'cancelled', 'barred')),
    constraint shipment_addressed check ((status in ('captured', 'barred')) = (ship_to is null)),
    -- Nothing leaves before it is paid for.
    constraint shipment_paid check (captured or status not in ('captured', 'dispatched', 'delivered')),
    constraint shipment_tracked check ((status in ('dispatched', 'delivered')) = (tracking_number is not null)),
    constraint shipment_dispatched check ((tracking_number is null) = (dispatched_at is null)),
    constraint shipment_delivered check ((status = 'delivered') = (delivered_at is not null)),
    -- What was held back has not left: nothing is answered both ways.
    constraint shipment_refused check (not cancellation_refused or status in ('dispatched', 'delivered'))
) with (fillfactor = 70);

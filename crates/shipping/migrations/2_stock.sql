-- Stock that may run out has to be kept before its parcel leaves. Rows from before wait for no stock, which is
-- what the defaults say of them, and of those that a process of the version before still writes.
alter table shipment
    -- Inventory's word came before the address; what it was good for is in awaits_stock from then on.
    add column kept boolean not null default false,
    -- Scheduled, and inventory is still to say that the stock is kept.
    add column awaits_stock boolean not null default false;

-- 'kept': as 'captured', when the stock came before the money and the address.
alter table shipment
    drop constraint shipment_status,
    add constraint shipment_status
        check (status in ('captured', 'kept', 'scheduled', 'dispatched', 'delivered', 'cancelled', 'barred')),
    drop constraint shipment_addressed,
    add constraint shipment_addressed
        check ((status in ('captured', 'kept', 'barred')) = (ship_to is null)),
    add constraint shipment_kept check (status <> 'kept' or kept and not captured),
    -- Nothing leaves before its stock is certain.
    add constraint shipment_certain check (not awaits_stock or status in ('scheduled', 'cancelled'));

-- What there is of each product, and what it costs. Changed under its row lock alone.
create table product (
    -- Bytewise, as the service sorts: locks are taken and rows created in one order everywhere.
    sku text collate "C" not null,
    name text not null,
    price_amount bigint not null,
    price_currency text not null,
    -- On the shelf, reserved ones included.
    on_hand bigint not null,
    reserved bigint not null,
    -- Left with parcels, ever.
    deducted bigint not null,
    -- How many events of this product were published: the next ce_sequence less one.
    sequence bigint not null,
    constraint product_pkey primary key (sku),
    constraint product_price check (price_amount >= 0),
    -- Whatever the service decides: what is not there cannot be promised.
    constraint product_not_oversold check (0 <= reserved and reserved <= on_hand),
    constraint product_deducted check (deducted >= 0)
) with (fillfactor = 70);

-- Every change of a stock level by hand; appended to, never changed. Its sum is what ever came in.
create table adjustment (
    adjustment_id uuid not null,
    sku text collate "C" not null,
    delta int not null,
    reason text not null,
    actor text not null,
    at timestamptz not null,
    constraint adjustment_pkey primary key (adjustment_id),
    constraint adjustment_sku foreign key (sku) references product (sku),
    constraint adjustment_delta check (delta <> 0)
);

-- What is set aside for each order. 'cancelled' is a tombstone: the order was cancelled before it was placed
-- here, so that placing it late is a no-op.
create table reservation (
    order_id uuid not null,
    status text not null,
    -- [{"sku", "quantity"}], each SKU once. In the row and not in a table of its own: written once, read with
    -- the lock, in the same statements.
    items jsonb not null,
    -- When the reservation runs out; null if it does not.
    expires_at timestamptz,
    -- How many events of this reservation were published: the next ce_sequence less one.
    sequence bigint not null,
    constraint reservation_pkey primary key (order_id),
    constraint reservation_status check (
        status in ('reserved', 'kept', 'rejected', 'released', 'expired', 'deducted', 'cancelled')),
    constraint reservation_items check ((status in ('rejected', 'cancelled')) = (items = '[]')),
    constraint reservation_expiry check (expires_at is null or status = 'reserved')
) with (fillfactor = 70);

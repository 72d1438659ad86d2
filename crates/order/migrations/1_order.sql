-- What has happened to each order; appended to, never changed. The current state is the fold of it.
create table order_event (
    order_id uuid not null,
    version bigint not null,
    event_id uuid not null,
    -- Name and version of the stored form, 'placed.v2': old forms stay readable.
    type text not null,
    data text not null,
    recorded_at timestamptz not null,
    correlation_id uuid not null,
    causation_id uuid not null,
    actor text not null,
    -- Of two transactions that append the same version one fails and decides anew.
    constraint order_event_pkey primary key (order_id, version)
);

-- The read model, and the row that is locked to change an order. What never changes after placing (lines,
-- address) is read from the first event, so that an update rewrites little.
create table order_view (
    order_id uuid not null,
    version bigint not null,
    -- How many events of this order were published: the next ce_sequence less one.
    sequence bigint not null,
    status text not null,
    customer_id text not null,
    total_amount bigint not null,
    currency text not null,
    cancel_reason text,
    tracking_number text,
    paid boolean not null,
    placed_at timestamptz not null,
    constraint order_view_pkey primary key (order_id),
    constraint order_view_status check (status in ('placed', 'confirmed', 'shipped', 'delivered', 'cancelled')),
    constraint order_view_cancelled check ((status = 'cancelled') = (cancel_reason is not null)),
    constraint order_view_total check (total_amount > 0)
) with (fillfactor = 60);
-- On columns that never change, so that updates stay heap-only. Order ids are UUIDv7: sorted by time.
create index order_view_customer on order_view (customer_id, order_id);

-- What products cost, as inventory tells it.
create table price (
    sku text not null,
    name text not null,
    amount bigint not null,
    currency text not null,
    constraint price_pkey primary key (sku),
    constraint price_amount check (amount >= 0)
);

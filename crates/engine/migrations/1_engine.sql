-- The engine's own schema, beside the service's tables in the service's database.
create schema if not exists engine;

-- Events to be published, in the order of their ids. The relay deletes what the log has acknowledged, so
-- the table is small and young: plain vacuum keeps it so.
create table engine.outbox (
    outbox_id bigint generated always as identity,
    event_id uuid not null,
    aggregate_type text not null,
    aggregate_id text not null,
    type text not null,
    sequence bigint,
    occurred_at timestamptz not null,
    correlation_id uuid,
    causation_id uuid,
    actor text,
    traceparent text,
    tracestate text,
    baggage text,
    -- For a record that is mirrored as it came: its own headers, as JSON. Absent for events.
    headers text,
    payload bytea,
    constraint outbox_pkey primary key (outbox_id)
) with (autovacuum_enabled = off);

-- Event ids that a consumer has processed. Ids are UUIDv7, which begin with their time: a partition holds a
-- day and is dropped whole. Ids of another kind go to the default partition.
create table engine.inbox (
    event_id uuid not null,
    consumer text not null,
    constraint inbox_pkey primary key (event_id, consumer)
) partition by range (event_id);
create table engine.inbox_default partition of engine.inbox default;

-- Messages that could not be processed, and the later ones of their key that wait behind them.
create table engine.dead_letter (
    dead_letter_id bigint generated always as identity,
    consumer text not null,
    -- What it parks under: the record's key, or a digest of one too long to be indexed.
    key bytea not null,
    event_id uuid not null,
    -- 'poison' has failed itself; 'waiting' came later and is in order behind it.
    status text not null,
    cause text not null,
    error text not null,
    attempt int not null default 1,
    type text,
    topic text not null,
    partition int not null,
    "offset" bigint not null,
    record_key bytea,
    headers text not null,
    payload bytea,
    parked_at timestamptz not null default clock_timestamp(),
    constraint dead_letter_pkey primary key (dead_letter_id),
    constraint dead_letter_status check (status in ('poison', 'waiting'))
);
create index dead_letter_key on engine.dead_letter (consumer, key, dead_letter_id);

-- What is to be done when a time comes, unless it is cleared before.
create table engine.deadline (
    key text not null,
    kind text not null,
    due_at timestamptz not null,
    correlation_id uuid not null,
    traceparent text,
    constraint deadline_pkey primary key (key, kind)
) with (fillfactor = 70);
create index deadline_due on engine.deadline (due_at);

-- Calls to the outside that were decided and have no known outcome yet. The row is written before the call
-- and deleted with the transaction that takes its answer in.
create table engine.effect (
    effect_id uuid not null,
    key text not null,
    request text not null,
    -- Not before this time; while a call is under way, the time at which another may ask again.
    due_at timestamptz not null,
    attempt int not null default 0,
    error text,
    correlation_id uuid not null,
    traceparent text,
    created_at timestamptz not null default clock_timestamp(),
    constraint effect_pkey primary key (effect_id)
) with (fillfactor = 70);
create index effect_due on engine.effect (due_at);

-- The answers to commands that came with an idempotency key.
create table engine.idempotency_key (
    idempotency_key text not null,
    fingerprint bytea not null,
    reply text not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint idempotency_key_pkey primary key (idempotency_key)
);

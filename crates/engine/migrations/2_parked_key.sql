-- Keys that have dead letters. Whoever parks behind a poison message and whoever redrives or discards locks the
-- key's row first, so that a message either waits in its place or finds the key free.
create table engine.parked_key (
    consumer text not null,
    key bytea not null,
    -- When its first letter was last tried.
    tried_at timestamptz not null default clock_timestamp(),
    constraint parked_key_pkey primary key (consumer, key)
) with (fillfactor = 70);
insert into engine.parked_key (consumer, key) select distinct consumer, key from engine.dead_letter;

-- What was done about dead letters, by whom and why.
create table engine.dead_letter_action (
    dead_letter_action_id bigint generated always as identity,
    at timestamptz not null default clock_timestamp(),
    -- What became of the letter: 'applied', 'duplicate' (its event had been applied), 'skipped' (nobody here
    -- handles its type), 'discarded', or 'failed' (it is poison still).
    outcome text not null,
    actor text not null,
    reason text not null,
    dead_letter_id bigint not null,
    consumer text not null,
    key bytea not null,
    event_id uuid not null,
    type text,
    topic text not null,
    partition int not null,
    "offset" bigint not null,
    -- Why it was, or still is, a dead letter.
    error text not null,
    constraint dead_letter_action_pkey primary key (dead_letter_action_id),
    constraint dead_letter_action_outcome
        check (outcome in ('applied', 'duplicate', 'skipped', 'discarded', 'failed'))
);

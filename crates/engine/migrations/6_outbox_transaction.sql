-- The transaction that has written a row, so that the relay can tell in a later page what its first page could have seen.
alter table engine.outbox add column xact xid8 not null default pg_current_xact_id();

-- Each kind of deadlines is read by itself, page by page, in the order of its times.
create index deadline_kind_due on engine.deadline (kind, due_at, key);
drop index engine.deadline_due;

-- Idempotency keys expire by their age.
create index idempotency_key_created on engine.idempotency_key (created_at);

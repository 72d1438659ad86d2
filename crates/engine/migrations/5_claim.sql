-- How a batch of events begins, in one round trip: their ids go into the inbox, and those of their keys that are
-- parked are locked until the transaction ends. Returned are the ids that were not there, and the parked keys.
--
-- In this order, and in two statements, of which each has a snapshot of its own: whoever has parked an earlier message
-- of a key is waited for by the first, if the two have an id in common, and has parked it when the second looks.
create function engine.claim(consumer text, ids uuid[], keys bytea[])
    returns table (fresh uuid, parked bytea)
    language plpgsql volatile as $$
#variable_conflict use_column
begin
    return query
        insert into engine.inbox (event_id, consumer) select unnest(ids), claim.consumer
        on conflict do nothing returning event_id, null::bytea;
    return query
        select null::uuid, k.key from engine.parked_key k
        where k.consumer = claim.consumer and k.key = any(keys) order by k.key for update;
end
$$;

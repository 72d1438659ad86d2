-- Whether a call is open for an aggregate, and how that goes, is looked up by its key.
create index effect_key on engine.effect (key);

-- How the payment of each order stands; the row that is locked to change it. What the provider is being asked
-- is in engine.effect.
create table payment (
    order_id uuid not null,
    -- How many events of this payment were published: the next ce_sequence less one.
    sequence bigint not null,
    status text not null,
    -- What the order has asked for and what waits for something else. 'reserved': the stock is there.
    -- 'confirmed' and 'cancelled' are kept until the provider has answered the call that is under way.
    reserved boolean not null,
    confirmed boolean not null,
    cancelled boolean not null,
    -- Absent while the order itself has not been seen.
    amount bigint,
    currency text,
    -- The provider's token, forgotten as soon as the provider has authorised or declined.
    payment_method text,
    -- The provider's name for what it has authorised.
    reference text,
    -- The provider's word for why it declined, or refused to capture.
    code text,
    -- What the provider says has happened, in minor units: all of the amount or nothing.
    authorized bigint not null,
    captured bigint not null,
    refunded bigint not null,
    constraint payment_pkey primary key (order_id),
    constraint payment_status check (status in ('awaiting', 'authorizing', 'authorized', 'capturing', 'captured',
        'voiding', 'voided', 'refunding', 'refunded', 'declined', 'cancelled')),
    constraint payment_amount check (amount >= 0 and (amount is null) = (currency is null)),
    constraint payment_amount_known check (amount is not null or status in ('awaiting', 'cancelled')),
    -- Captured twice, captured without authorisation, refunded twice, refunded without capture: none of it can
    -- be written down.
    constraint payment_authorized_once check (authorized in (0, coalesce(amount, 0))),
    constraint payment_captured_once check (captured in (0, authorized)),
    constraint payment_refunded_once check (refunded in (0, captured)),
    constraint payment_authorized_by check ((reference is not null) = (status in ('authorized', 'capturing',
        'captured', 'voiding', 'voided', 'refunding', 'refunded'))),
    -- The money is here only while the status says so; a payment that was voided, declined or cancelled has none.
    constraint payment_kept check (captured = refunded or status in ('captured', 'refunding')),
    constraint payment_taken check (status not in ('captured', 'refunding', 'refunded') or captured = amount),
    constraint payment_given_back check (status <> 'refunded' or refunded = amount),
    constraint payment_token check (payment_method is null or status in ('awaiting', 'authorizing'))
) with (fillfactor = 70);

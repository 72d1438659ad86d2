//! What an operator can do about what no command mends.

use audit::{Kind, Law};

pub(super) const NOTHING_TO_MOVE: &str = "no command mends this: nothing is at the provider that may be given back. Compare the order's \
     history, `GET /payments/{order_id}` and the provider's ledger; what the services say of it is behind or wrong";
pub(super) const TOO_LATE: &str = "no command mends this: the order cannot be cancelled any more, and what it waits for was lost. See what of it was \
     not published, and how its shipment stands: `POST /shipments/{order_id}/dispatch` and `/deliver` are a person's";
pub(super) const FAILED_REFUND: &str = "the provider could not give this back, and says so again whenever it is asked under this key: a person has to \
     give it back there, under another idempotency key that begins with `waybill-repair-`, by which the audit knows it";
pub(super) const UNNAMED_KEY: &str =
    "the key is no text: redrive it by the id of a letter, see `waybill dead-letters list`";

pub(super) fn of_law(law: Law) -> &'static str {
    match law {
        Law::Stock => {
            "no command mends this: a row of inventory's was changed by other hands than the service's. Find out who did, \
             count the shelf, and set back the row; `POST /products/{sku}/adjustments` is for stock that really differs, \
             and keeps the difference"
        }
        Law::Fold => {
            "no command mends this: the order's events themselves are not whole, or not there. Restore `order_event` \
             from a backup; the row is then written anew by `waybill repair`"
        }
        Law::Published => {
            "no command mends this: an event that was recorded never came to the topic, as its row is gone from the outbox. \
             Restore the row from a backup; if the order stands still for it, it can be cancelled"
        }
        Law::Sequence => {
            "no command mends this: either somebody has written to a topic, where nobody but a service's relay may, and what \
             is there stays (readers that go by event ids are not harmed by a number that comes twice), or a service's row \
             has lost or changed what it has counted or stored: compare them, and restore the row from a backup"
        }
        Law::Prices => {
            "tell the product to its readers once more: `PUT /products/{sku}` at inventory, with the name and the price \
             that it has. A price of no product is a row that only hands can have written"
        }
        Law::Known => {
            "an entry that names no order may be somebody else's at this provider: it is never touched from here. Look the \
             intent up at the provider, and refund or cancel it there if it is nobody's"
        }
        Law::Redriven => {
            "no command mends this: letters of one key were applied out of their order. Compare the order's history with \
             `waybill dead-letters actions`"
        }
        _ => {
            "no command mends this: the services contradict each other. Compare the order's history, `GET /payments`, \
             `/reservations` and `/shipments` of it, and find out whose rows were changed"
        }
    }
}

pub(super) fn of_finding(kind: Kind) -> &'static str {
    match kind {
        Kind::Overdue => {
            "the service takes its deadlines by itself as soon as it gets on: see whether it runs, its `/readyz`, and \
             `waybill_deadlines_overdue`"
        }
        Kind::Failing => {
            "it is asked again by itself until there is an answer: see what keeps the provider from giving one"
        }
        Kind::Relay => {
            "it is published as soon as the service's relay gets on: see its `/readyz` and Kafka's"
        }
        Kind::Consumer => "it is read as soon as the service gets on: see whether it runs, and its `/readyz`",
        Kind::Carrier => {
            "the deadline by which a carrier would have moved the parcel is lost, and nobody sets it again: move it by hand, \
             `POST /shipments/{order_id}/dispatch` and `/deliver` at shipping, or cancel the order before it has left"
        }
        Kind::PutOff => {
            "nobody waits so long by design: see who has written the time (a hand, a clock that was wrong), and set the row's \
             `due_at` in `engine.deadline` or `engine.effect` back to now; the service does the rest"
        }
        Kind::Parked => "see `waybill dead-letters list`",
    }
}

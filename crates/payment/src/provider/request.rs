use crate::payment::Call;

const INTENTS: &str = "/v1/payment_intents";
const REFUNDS: &str = "/v1/refunds";

/// The parameters of a request, in Stripe's names.
pub(super) type Form = Vec<(&'static str, String)>;

/// The path of what says how the payment stands that a call is about: a refund is not to be seen in the payment
/// itself (<https://docs.stripe.com/api/refunds/list>, the newest first).
pub(super) fn standing(call: &Call, reference: &str) -> String {
    match call {
        Call::Refund { .. } => format!("{REFUNDS}?payment_intent={reference}&limit=100"),
        Call::Authorize { .. } | Call::Capture { .. } | Call::Void { .. } => format!("{INTENTS}/{reference}"),
    }
}

/// The path and the form that make a call. The same for the same call each time, as its idempotency key demands.
pub(super) fn of(call: &Call) -> (String, Form) {
    match call {
        Call::Authorize { order_id, amount, payment_method } => {
            let form = vec![
                ("amount", amount.amount.to_string()),
                ("currency", amount.currency.code().to_ascii_lowercase()),
                ("payment_method", payment_method.clone()),
                ("payment_method_types[]", "card".to_owned()),
                ("capture_method", "manual".to_owned()),
                ("confirm", "true".to_owned()),
                // Nobody is there to be asked for more: a card that demands it is declined.
                ("error_on_requires_action", "true".to_owned()),
                ("metadata[order_id]", order_id.to_string()),
            ];
            (INTENTS.to_owned(), form)
        }
        Call::Capture { reference, amount, .. } => {
            let form = vec![("amount_to_capture", amount.amount.to_string())];
            (format!("{INTENTS}/{reference}/capture"), form)
        }
        Call::Void { reference, .. } => (format!("{INTENTS}/{reference}/cancel"), Form::new()),
        Call::Refund { order_id, reference, amount } => {
            let form = vec![
                ("payment_intent", reference.clone()),
                ("amount", amount.amount.to_string()),
                ("metadata[order_id]", order_id.to_string()),
            ];
            (REFUNDS.to_owned(), form)
        }
    }
}

use super::*;
use crate::provider::request;

#[test]
fn what_is_sent() {
    let mut sent = String::new();
    for name in CALLS {
        let (path, form) = request::of(&call(name));
        writeln!(sent, "{name}: POST {path}").unwrap();
        form.iter().for_each(|(name, value)| writeln!(sent, "    {name}={value}").unwrap());
        writeln!(sent, "    and, where that says too little, GET {}", request::standing(&call(name), "pi_1"))
            .unwrap();
    }
    expect![[r#"
        authorize: POST /v1/payment_intents
            amount=1999
            currency=usd
            payment_method=pm_card_visa
            payment_method_types[]=card
            capture_method=manual
            confirm=true
            error_on_requires_action=true
            metadata[order_id]=0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21
            and, where that says too little, GET /v1/payment_intents/pi_1
        capture: POST /v1/payment_intents/pi_1/capture
            amount_to_capture=1999
            and, where that says too little, GET /v1/payment_intents/pi_1
        void: POST /v1/payment_intents/pi_1/cancel
            and, where that says too little, GET /v1/payment_intents/pi_1
        refund: POST /v1/refunds
            payment_intent=pi_1
            amount=1999
            metadata[order_id]=0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21
            and, where that says too little, GET /v1/refunds?payment_intent=pi_1&limit=100
    "#]]
    .assert_eq(&sent);
}

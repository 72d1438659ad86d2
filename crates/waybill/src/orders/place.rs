//! `waybill orders place`.

use clap::Args;
use events::Sku;
use serde_json::json;
use uuid::Uuid;

use super::{Order, Service, watch};
use crate::{
    client::{Client, Refused, send},
    exit::Unreachable,
    output::say,
};

/// Place an order, to a demo address.
///
/// Exit code 0 when it was accepted; with --watch when it has come to an end, whichever: see `orders watch`.
#[derive(Args)]
pub(crate) struct Place {
    /// What to order: MUG-01, or MUG-01:3 for three. May be repeated.
    #[arg(long = "sku", value_name = "SKU[:QUANTITY]", required = true, value_parser = line)]
    lines: Vec<(Sku, Option<u32>)>,
    /// How many of each SKU that says no quantity of its own.
    #[arg(long, default_value_t = 1)]
    quantity: u32,
    #[arg(long, value_name = "ID", default_value = "c-demo")]
    customer: String,
    /// The provider's token; of the stand-in's for example pm_card_chargeDeclined.
    #[arg(long, value_name = "TOKEN", default_value = "pm_card_visa")]
    payment_method: String,
    #[arg(long, default_value = "USD")]
    currency: String,
    /// Makes it safe to place the same order again after an answer was lost. Made up when absent.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Print each step of it until it has come to an end.
    #[arg(long)]
    watch: bool,
    /// How long to watch, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "watch")]
    timeout: u64,
    #[command(flatten)]
    service: Service,
}

/// A SKU has no colon in it.
fn line(text: &str) -> Result<(Sku, Option<u32>), String> {
    let (sku, quantity) = match text.split_once(':') {
        Some((sku, quantity)) => (sku, Some(quantity)),
        None => (text, None),
    };
    let quantity = quantity.map(|it| it.parse().map_err(|_| format!("{it:?} is no quantity"))).transpose()?;
    Ok((sku.parse().map_err(|error| format!("{error}"))?, quantity))
}

pub(super) async fn run(client: &Client, place: Place) -> anyhow::Result<()> {
    let key = place.idempotency_key.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
    let request = client.post(&place.service.order_url, "/orders").header("Idempotency-Key", &key);
    let answer = send(request.json(&order(&place))).await.map_err(|error| explain(error, &key))?;
    let order: Order = answer.json()?;
    if !place.watch {
        return answer.print(&place.service);
    }
    if !place.service.json {
        say!("order {}: {}", order.order_id, order.total);
    }
    watch::until_the_end(client, &place.service, order.order_id, place.timeout).await
}

fn order(place: &Place) -> serde_json::Value {
    let line =
        |(sku, own): &(Sku, Option<u32>)| json!({"sku": sku, "quantity": own.unwrap_or(place.quantity)});
    json!({
        "customer": {"id": place.customer, "name": "Ada Lovelace", "email": "ada@example.com"},
        "currency": place.currency,
        "lines": place.lines.iter().map(line).collect::<Vec<_>>(),
        "ship_to": {
            "name": "Ada Lovelace", "line1": "12 Analytical St", "city": "Portland", "postal_code": "97201",
            "country": "US",
        },
        "payment_method": place.payment_method,
    })
}

/// What to do about an error, where that can be said.
fn explain(error: anyhow::Error, key: &str) -> anyhow::Error {
    if let Some(Unreachable { text, perhaps_done: true }) = error.downcast_ref() {
        let text = format!(
            "{text}; it may have been placed: with --idempotency-key {key} asking again places no second"
        );
        return Unreachable { text, perhaps_done: true }.into();
    }
    match error.downcast_ref::<Refused>() {
        Some(refused) if refused.text.contains("/sku: there is no product") => error.context(
            "the order service does not know that product (if it has just been put on sale: try again)",
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, Option<u32>)>) {
        let parsed = line(text).ok();
        assert_eq!(parsed.as_ref().map(|(sku, quantity)| (sku.as_str(), *quantity)), expected, "{text}");
    }

    #[test]
    fn a_line_is_a_sku_with_a_quantity_or_without() {
        check("MUG-01", Some(("MUG-01", None)));
        check("MUG-01:3", Some(("MUG-01", Some(3))));
        for wrong in ["", ":3", "MUG-01:", "MUG-01:x", "MUG-01:-1", "mug", "A:1:2"] {
            check(wrong, None);
        }
    }
}

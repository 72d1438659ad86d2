//! A command that could be sent, one function for each kind.

use audit::{Intent, REPAIR_KEY};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::money::Surplus;
use crate::{
    client::BaseUrl,
    dead_letters::{Desks, Service},
};

/// A command that could be sent.
#[derive(Debug, Serialize)]
pub(super) struct Proposal {
    pub(super) wrong: Vec<String>,
    #[serde(flatten)]
    pub(super) command: Command,
    /// What it will do.
    pub(super) does: String,
    pub(super) safe_to_send_twice: bool,
    /// Why it is, or is not.
    pub(super) twice: &'static str,
}

/// A `POST`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Command {
    pub(super) what: What,
    pub(super) method: &'static str,
    #[serde(serialize_with = "text")]
    pub(super) base: BaseUrl,
    pub(super) path: String,
    /// JSON, or for the provider the members of a form.
    pub(super) body: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) idempotency_key: Option<String>,
}

/// In the order in which they are sent: what mends by itself first, what moves money last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    Refold,
    Redrive(Service),
    CancelOrder,
    CancelIntent,
    Refund,
}

/// Where commands are sent to.
pub(super) struct Targets<'a> {
    pub(super) order: &'a BaseUrl,
    pub(super) desks: &'a Desks,
    pub(super) provider: &'a BaseUrl,
}

fn text<S: serde::Serializer>(base: &BaseUrl, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(base)
}

const REASON: &str = "waybill repair";

pub(super) fn redrive(service: Service, key: &str, wrong: Vec<String>, targets: &Targets<'_>) -> Proposal {
    Proposal {
        wrong,
        command: Command {
            what: What::Redrive(service),
            method: "POST",
            base: targets.desks.of(service).clone(),
            path: "/dead-letters/redrive".into(),
            body: json!({"key": key, "reason": REASON}),
            idempotency_key: None,
        },
        does:
            "runs the dead letters of this key again, in their order, up to the first that is poison still; \
                   nothing is thrown away"
                .into(),
        safe_to_send_twice: true,
        twice: "the inbox knows what was applied",
    }
}

pub(super) fn refold(id: Uuid, wrong: Vec<String>, targets: &Targets<'_>) -> Proposal {
    Proposal {
        wrong,
        command: Command {
            what: What::Refold,
            method: "POST",
            base: targets.desks.of(Service::Order).clone(),
            path: format!("/orders/{id}/refold"),
            body: Value::Null,
            idempotency_key: None,
        },
        does: "writes the order's row in the read model anew from its events, under its lock; nothing happens to the \
               order"
            .into(),
        safe_to_send_twice: true,
        twice: "the same events fold to the same row",
    }
}

pub(super) fn cancel(id: Uuid, wrong: Vec<String>, targets: &Targets<'_>) -> Proposal {
    Proposal {
        wrong,
        command: Command {
            what: What::CancelOrder,
            method: "POST",
            base: targets.order.clone(),
            path: format!("/orders/{id}/cancel"),
            body: json!({"reason": "stands still (waybill repair)"}),
            idempotency_key: None,
        },
        does: "cancels the order, and whoever holds something for it gives it back; a confirmed one once shipping has \
               stopped its parcel, and one that has been shipped is refused (409)"
            .into(),
        safe_to_send_twice: true,
        twice: "an order is cancelled once",
    }
}

pub(super) fn give_back(
    id: Uuid,
    surplus: &Surplus<'_>,
    wrong: Vec<String>,
    targets: &Targets<'_>,
) -> Proposal {
    let Surplus { intent, why } = surplus;
    let Intent { id: reference, currency, .. } = intent;
    let (what, path, amount, body, verb) = match intent.held() {
        0 => {
            let net = intent.net();
            let body = json!({"payment_intent": reference, "amount": net.to_string(),
                "metadata[order_id]": id.to_string()});
            (What::Refund, "/v1/refunds".to_owned(), net, body, "refunds")
        }
        held => {
            let path = format!("/v1/payment_intents/{reference}/cancel");
            (What::CancelIntent, path, held, json!({}), "lets go of the authorised")
        }
    };
    let purpose = if what == What::Refund { "refund" } else { "cancel" };
    Proposal {
        wrong,
        command: Command {
            what,
            method: "POST",
            base: targets.provider.clone(),
            path,
            body,
            idempotency_key: Some(format!("{REPAIR_KEY}{purpose}-{reference}-{amount}")),
        },
        does: format!("{verb} {amount} {currency} (minor units) of {reference}, of order {id}: {why}"),
        safe_to_send_twice: true,
        twice: "the idempotency key is that of the intent, the purpose and the amount, and the provider gives back no \
                more than it has",
    }
}

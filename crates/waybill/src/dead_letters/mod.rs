//! `waybill dead-letters`: the messages that could not be applied, and what becomes of them.
//!
//! Each service has its own, and an address for the operator at which it shows them.

mod act;
mod list;
mod show;
mod text;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use events::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use self::{
    act::{Outcome, actor, go_on},
    text::tame,
};
use crate::client::{BaseUrl, Client};

/// See messages that could not be applied, and run them again or throw them away.
///
/// A message that can never be applied is poison: it is put aside, and later ones of its key (mostly an order's id)
/// wait behind it in their order, while all other keys flow on.
#[derive(Subcommand)]
pub(crate) enum DeadLetters {
    List(list::List),
    Show(show::Show),
    Redrive(act::Redrive),
    Discard(act::Discard),
    Actions(list::Actions),
}

pub(crate) async fn run(command: DeadLetters) -> anyhow::Result<()> {
    let client = Client::new()?;
    match command {
        DeadLetters::List(it) => list::letters(&client, it).await,
        DeadLetters::Show(it) => show::run(&client, it).await,
        DeadLetters::Redrive(it) => act::redrive(&client, it).await,
        DeadLetters::Discard(it) => act::discard(&client, it).await,
        DeadLetters::Actions(it) => list::actions(&client, it).await,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Service {
    Order,
    Inventory,
    Payment,
    Shipping,
}

impl Service {
    pub(crate) const ALL: [Service; 4] =
        [Service::Order, Service::Inventory, Service::Payment, Service::Shipping];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Inventory => "inventory",
            Self::Payment => "payment",
            Self::Shipping => "shipping",
        }
    }
}

/// Where the services listen for the operator.
#[derive(Args)]
#[command(next_help_heading = "Addresses for the operator")]
pub(crate) struct Desks {
    #[arg(long, env, value_name = "URL", default_value = "http://127.0.0.1:8090")]
    order_admin_url: BaseUrl,
    #[arg(long, env, value_name = "URL", default_value = "http://127.0.0.1:8091")]
    inventory_admin_url: BaseUrl,
    #[arg(long, env, value_name = "URL", default_value = "http://127.0.0.1:8092")]
    payment_admin_url: BaseUrl,
    #[arg(long, env, value_name = "URL", default_value = "http://127.0.0.1:8093")]
    shipping_admin_url: BaseUrl,
}

impl Desks {
    pub(crate) fn of(&self, service: Service) -> &BaseUrl {
        match service {
            Service::Order => &self.order_admin_url,
            Service::Inventory => &self.inventory_admin_url,
            Service::Payment => &self.payment_admin_url,
            Service::Shipping => &self.shipping_admin_url,
        }
    }

    /// Asks `service`, or all of them. One that does not answer keeps nobody from the others' answers, and is the
    /// failure in the end.
    async fn ask(
        &self,
        service: Option<Service>,
        mut ask: impl AsyncFnMut(Service, &BaseUrl) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let services = service.map_or(Service::ALL.to_vec(), |it| vec![it]);
        let mut outcome = Ok(());
        for service in services {
            let Err(error) = ask(service, self.of(service)).await.context(service.name()) else { continue };
            if let Err(before) = std::mem::replace(&mut outcome, Err(error)) {
                eprintln!("waybill: {before:#}");
            }
        }
        outcome
    }
}

/// Bytes that are shown as text where they are some.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Bytes {
    Text(String),
    Binary { base64: String },
}

impl Bytes {
    /// In one line.
    fn line(&self) -> String {
        match self {
            Self::Text(text) => text::tame(text),
            Self::Binary { base64 } => format!("base64:{}", text::tame(base64)),
        }
    }
}

/// What a service says of a dead letter, as far as it is shown. Text where nothing depends on it, so that a service
/// of another version is understood.
#[derive(Deserialize)]
struct Letter {
    dead_letter_id: i64,
    status: String,
    cause: String,
    error: String,
    attempt: u32,
    key: Bytes,
    event_id: String,
    r#type: Option<String>,
    topic: String,
    partition: i32,
    offset: i64,
    #[serde(with = "events::timestamp")]
    parked_at: Timestamp,
    payload_bytes: u64,
    headers: Option<Vec<(String, Option<Bytes>)>>,
    payload: Option<Bytes>,
}

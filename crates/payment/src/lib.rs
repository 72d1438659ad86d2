//! The payment service: has the provider hold an order's amount, take it, let it go or give it back.
//!
//! A payment begins with `order.placed` and `inventory.stock-reserved`, in either order, and follows the order
//! from there: captured when the order is confirmed, voided or refunded when it is cancelled. The provider's
//! answers are inputs like any other, and are what is published.
//!
//! **Invariants:** a payment has one call to the provider under way at most, written down before it is made and
//! made again under the same idempotency key until it is answered; under another one only when a look at the
//! payment has shown that nothing came of it, and that what the provider keeps under the first key is a failure.
//! What a call came to is the provider's word, never a guess: nothing is captured, voided or refunded because it
//! was asked for. An amount is captured once at most, and never after the order was cancelled was known. What
//! came of a cancellation is published when the provider has answered, not before. Of every cancelled order there
//! is one last word: declined, voided, refunded, or cancelled if the provider was never asked.
//!
//! **Absent:** card data (a token stands for it, and is forgotten once the provider has answered); partial
//! captures and refunds; the order's prices, of which only the total is known here.

mod config;
mod decider;
mod http;
mod payment;
mod provider;
mod row;
mod store;
mod view;

pub use config::Config;
/// The decider as it runs, for simulation and model checking: it needs neither a database nor a log.
pub use decider::{Fact, Input, Payments, World};
pub use payment::{Answer, Call, Charge, Hold, Payment, PaymentEvent, State, Then};
pub use view::{Asking, PaymentView, Status};

use bus::Bus;
use events::Aggregate;
use tokio_util::sync::CancellationToken;

/// Runs the service on Kafka until `shutdown`.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    run_on(Bus::kafka(&config.chassis.kafka_bootstrap_servers)?, config, shutdown).await
}

/// Runs the service on any log.
pub async fn run_on(bus: Bus, config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let parts = service::Parts {
        decider: decider::Payments,
        outside: provider::Provider::new(&config)?,
        reads: &[Aggregate::Order, Aggregate::Inventory],
        migrations: sqlx::migrate!(),
        routes: http::routes,
        operator: None,
    };
    service::host(config.chassis, bus, parts, shutdown).await
}

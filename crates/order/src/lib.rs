//! The order service: accepts orders over HTTP and follows them through the other services' events to their
//! end.
//!
//! An order is event-sourced: `order_event` is appended to and never changed, and an order's state is the
//! fold of its events. `order_view` is the read model, written in the same transaction; its row is also the
//! lock that serialises an order's changes.
//!
//! **Invariants:** prices come from the service's own price list, never from the client. An order is
//! confirmed only when stock and payment were both noted, in whatever order they came. `order.cancelled` is
//! published once at most and is the only signal that makes the others compensate. An order that is not
//! confirmed in time is cancelled. After an end nothing follows that others are told of, whatever arrives, except
//! that a delivered order may still learn that it is paid. A cancelled order goes on listening for what is held
//! for it: its compensation is done when whoever holds the stock and the money has said so, and not before. Money
//! that payment has not spoken of may be held, and counts as such.
//!
//! **Absent:** calls to other services; payment details other than the provider's token.

mod config;
mod decider;
mod http;
mod order;
mod store;
mod view;
mod warm;

pub use config::Config;
/// The decider as it runs, for simulation and model checking: it needs neither a database nor a log.
pub use decider::{Fact, Input, Orders, PlaceOrder, Price, Refusal, World};
pub use order::{Back, Cancelling, Funds, Order, OrderEvent, Return, State};
pub use view::{Compensation, OrderView, Status};

use std::time::Duration;

use bus::Bus;
use engine::NoOutside;
use events::Aggregate;
use tokio_util::sync::CancellationToken;

/// Runs the service on Kafka until `shutdown`.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    run_on(Bus::kafka(&config.chassis.kafka_bootstrap_servers)?, config, shutdown).await
}

/// Runs the service on any log.
pub async fn run_on(bus: Bus, config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let parts = service::Parts {
        decider: Orders::new(Duration::from_secs(config.confirm_within_secs)),
        outside: NoOutside::default(),
        reads: &[Aggregate::Inventory, Aggregate::Payment, Aggregate::Shipping, Aggregate::Product],
        migrations: sqlx::migrate!(),
        routes: http::routes,
        operator: Some(http::operator),
    };
    service::host(config.chassis, bus, parts, shutdown).await
}

//! The inventory service: what there is of each product, what it costs, and what is set aside for whom.
//!
//! An order's stock is reserved when it is placed, all lines or none, for a time; kept when it is confirmed within
//! that time, which shipping waits to hear; deducted when its parcel leaves; released when it is cancelled.
//! Products are set and counted over HTTP.
//!
//! **Invariants:** per SKU, what is on hand and what was deducted add up to the adjustments by hand; what is
//! reserved is the sum of the live reservations and never more than is on hand, which a constraint holds too.
//! A reservation ends once: released, expired and deducted exclude each other. An order that is cancelled
//! before it is placed here leaves a tombstone. Reservations are locked before products, each in the order of
//! their keys.
//!
//! **Absent:** calls to other services; back orders and partial reservations; several warehouses; events about
//! a product when orders alone move its stock.

mod config;
mod decider;
mod http;
mod product;
mod reservation;
mod store;
mod view;

pub use config::Config;
pub use decider::{Fact, Input, Inventory, Reply, World};
pub use product::{Product, ProductEvent, Refusal};
pub use reservation::{Reservation, ReservationEvent, State};
pub use view::{ProductView, ReservationView, Status};

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
        decider: Inventory { reservation_ttl: config.reservation_ttl() },
        outside: NoOutside::default(),
        reads: &[Aggregate::Order, Aggregate::Shipping],
        migrations: sqlx::migrate!(),
        routes: http::routes,
        operator: None,
    };
    service::host(config.chassis, bus, parts, shutdown).await
}

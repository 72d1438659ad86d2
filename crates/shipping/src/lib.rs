//! The shipping service: sends an order's parcel on its way, or holds it back in time.
//!
//! A shipment begins with `order.confirmed` (where to) and `payment.captured` (that it may leave), in either
//! order. Where the confirmation says that the order's reservation runs out, `inventory.stock-kept` has to come
//! as well: the confirmation may have crossed the expiry, and then the order is about to be cancelled. The
//! shipment then waits for its carrier: somebody who says so over HTTP, or the simulated one, which moves parcels
//! by deadlines.
//!
//! **Invariants:** nothing leaves before it is scheduled, paid for, and sure of its stock. Of a dispatch and a cancellation that
//! meet, the row's lock lets one win, and the order is told which: `shipping.cancelled` or
//! `shipping.cancellation-refused`, each once at most. A cancellation that comes before its shipment bars it,
//! so that what comes late is without effect. A parcel that has left is never called cancelled.
//!
//! **Absent:** a real carrier; parcels of their own for parts of an order; returns.

mod carrier;
mod config;
mod decider;
mod http;
mod shipment;
mod store;
mod tracking;
mod view;

pub use carrier::Carrier;
pub use config::Config;
/// The decider as it runs, for simulation and model checking: it needs neither a database nor a log.
pub use decider::{Fact, Input, Shipments, World};
pub use shipment::{Awaited, Leg, Parcel, Refusal, Shipment, ShipmentEvent, State};
pub use view::{ShipmentView, Status};

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
        decider: Shipments { carrier: config.carrier() },
        outside: NoOutside::default(),
        reads: &[Aggregate::Order, Aggregate::Payment, Aggregate::Inventory],
        migrations: sqlx::migrate!(),
        routes: http::routes,
        operator: None,
    };
    service::host(config.chassis, bus, parts, shutdown).await
}

//! All SQL of the shipping service.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Recorded, Timestamp, Writes};
use events::{Address, OrderId};
use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    decider::{Fact, World},
    shipment::{Awaited, Parcel, Shipment, State},
};

/// Locks shipments, in the order of their ids, and reads them. Those that do not exist are left out.
pub(crate) async fn lock_shipments(
    tx: &mut PgConnection,
    ids: BTreeSet<OrderId>,
) -> sqlx::Result<BTreeMap<OrderId, Shipment>> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = sqlx::query(
        "select order_id, sequence, status, captured, cancellation_refused, tracking_number, dispatched_at,
             delivered_at, ship_to, kept, awaits_stock
         from shipment where order_id = any($1) order by order_id for update",
    )
    .bind(ids.iter().map(|it| it.0).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    rows.iter().map(|row| read(row).map(|it| (it.order_id, it))).collect()
}

/// One shipment, as it is now.
pub(crate) async fn shipment(pool: &PgPool, id: OrderId) -> sqlx::Result<Option<Shipment>> {
    let row = sqlx::query(
        "select order_id, sequence, status, captured, cancellation_refused, tracking_number, dispatched_at,
             delivered_at, ship_to, kept, awaits_stock
         from shipment where order_id = $1",
    )
    .bind(id.0)
    .fetch_optional(pool)
    .await?;
    row.as_ref().map(read).transpose()
}

/// Writes the shipments that something has happened to. New ones are inserted plainly: when two batches create
/// the same one, the later is to fail and to decide anew.
pub(crate) fn save_shipments(writes: &mut Writes, world: &World, facts: &[Recorded<Fact>]) {
    let changed: BTreeSet<OrderId> = facts.iter().map(|it| it.event.order_id).collect();
    let (stored, new): (Vec<&Shipment>, Vec<&Shipment>) = changed
        .iter()
        .filter_map(|id| world.shipments.get(id))
        .partition(|it| world.stored.contains(&it.order_id));
    write(
        writes,
        "insert into shipment (order_id, sequence, status, captured, cancellation_refused, tracking_number,
             dispatched_at, delivered_at, ship_to, kept, awaits_stock)
         select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::bool[], $5::bool[], $6::text[],
             $7::timestamptz[], $8::timestamptz[], $9::text[], $10::bool[], $11::bool[])",
        &new,
    );
    write(
        writes,
        "update shipment s
         set sequence = it.sequence, status = it.status, captured = it.captured,
             cancellation_refused = it.cancellation_refused, tracking_number = it.tracking_number,
             dispatched_at = it.dispatched_at, delivered_at = it.delivered_at, ship_to = it.ship_to,
             kept = it.kept, awaits_stock = it.awaits_stock
         from unnest($1::uuid[], $2::bigint[], $3::text[], $4::bool[], $5::bool[], $6::text[],
             $7::timestamptz[], $8::timestamptz[], $9::text[], $10::bool[], $11::bool[])
             it (order_id, sequence, status, captured, cancellation_refused, tracking_number, dispatched_at,
                 delivered_at, ship_to, kept, awaits_stock)
         where s.order_id = it.order_id",
        &stored,
    );
}

/// Binds the columns of `shipments`, in the order of the table's, to a statement that writes them.
fn write(writes: &mut Writes, statement: &'static str, shipments: &[&Shipment]) {
    if shipments.is_empty() {
        return;
    }
    let addresses: Vec<_> = shipments.iter().map(|it| ship_to(it).map(address_to_json)).collect();
    let parcels: Vec<_> = shipments.iter().map(|it| it.parcel()).collect();
    writes
        .add(statement)
        .bind(shipments.iter().map(|it| it.order_id.0).collect::<Vec<_>>())
        .bind(shipments.iter().map(|it| it.sequence).collect::<Vec<_>>())
        .bind(shipments.iter().map(|it| status(it)).collect::<Vec<_>>())
        .bind(shipments.iter().map(|it| captured(it)).collect::<Vec<_>>())
        .bind(parcels.iter().map(|it| it.is_some_and(|it| it.cancellation_refused)).collect::<Vec<_>>())
        .bind(parcels.iter().map(|it| it.map(|it| it.tracking_number.as_str())).collect::<Vec<_>>())
        .bind(parcels.iter().map(|it| it.map(|it| it.dispatched_at)).collect::<Vec<_>>())
        .bind(shipments.iter().map(|it| delivered_at(it)).collect::<Vec<_>>())
        .bind(addresses)
        .bind(shipments.iter().map(|it| kept(it)).collect::<Vec<_>>())
        .bind(shipments.iter().map(|it| awaits_stock(it)).collect::<Vec<_>>());
}

fn status(shipment: &Shipment) -> &'static str {
    match shipment.state {
        State::Early { captured: true, .. } => "captured",
        State::Early { captured: false, kept: true } => "kept",
        // Never written: whatever changes a shipment takes it out of this state.
        State::Early { captured: false, kept: false } => "unknown",
        State::Scheduled { .. } => "scheduled",
        State::Dispatched { .. } => "dispatched",
        State::Delivered { .. } => "delivered",
        State::Cancelled { .. } => "cancelled",
        State::Barred => "barred",
    }
}

fn captured(shipment: &Shipment) -> bool {
    match shipment.state {
        State::Early { captured, .. } | State::Cancelled { captured, .. } => captured,
        State::Scheduled { waits_for, .. } => !waits_for.capture,
        State::Dispatched { .. } | State::Delivered { .. } => true,
        State::Barred => false,
    }
}

fn kept(shipment: &Shipment) -> bool {
    matches!(shipment.state, State::Early { kept: true, .. })
}

fn awaits_stock(shipment: &Shipment) -> bool {
    matches!(shipment.state, State::Scheduled { waits_for: Awaited { stock: true, .. }, .. })
}

fn delivered_at(shipment: &Shipment) -> Option<Timestamp> {
    match shipment.state {
        State::Delivered { delivered_at, .. } => Some(delivered_at),
        _ => None,
    }
}

fn ship_to(shipment: &Shipment) -> Option<&Address> {
    match &shipment.state {
        State::Scheduled { ship_to, .. }
        | State::Dispatched { ship_to, .. }
        | State::Delivered { ship_to, .. }
        | State::Cancelled { ship_to, .. } => Some(ship_to),
        State::Early { .. } | State::Barred => None,
    }
}

fn address_to_json(address: &Address) -> String {
    // A plain struct of strings: there is no value that JSON lacks.
    serde_json::to_string(address).expect("an address serialises")
}

fn read(row: &PgRow) -> sqlx::Result<Shipment> {
    let captured: bool = row.try_get("captured")?;
    let address = || -> sqlx::Result<Address> {
        serde_json::from_str(row.try_get("ship_to")?).map_err(|error| sqlx::Error::Decode(error.into()))
    };
    let parcel = || -> sqlx::Result<Parcel> {
        Ok(Parcel {
            tracking_number: row.try_get("tracking_number")?,
            dispatched_at: row.try_get("dispatched_at")?,
            cancellation_refused: row.try_get("cancellation_refused")?,
        })
    };
    let state = match row.try_get("status")? {
        "captured" | "kept" => State::Early { captured, kept: row.try_get("kept")? },
        "scheduled" => {
            let waits_for = Awaited { capture: !captured, stock: row.try_get("awaits_stock")? };
            State::Scheduled { ship_to: address()?, waits_for }
        }
        "dispatched" => State::Dispatched { ship_to: address()?, parcel: parcel()? },
        "delivered" => State::Delivered {
            ship_to: address()?,
            parcel: parcel()?,
            delivered_at: row.try_get("delivered_at")?,
        },
        "cancelled" => State::Cancelled { ship_to: address()?, captured },
        "barred" => State::Barred,
        other => return Err(sqlx::Error::Decode(format!("no shipment is {other:?}").into())),
    };
    let order_id = OrderId(row.try_get::<Uuid, _>("order_id")?);
    Ok(Shipment { order_id, sequence: row.try_get("sequence")?, state })
}

//! What must hold when all is at rest, over the four databases and the provider's own books.

use std::collections::{BTreeMap, HashMap};

use order::{Order, OrderEvent};
use serde_json::{Value, json};
use sqlx::{PgPool, Row};
use testkit::eventually;
use uuid::Uuid;

use crate::suite::PATIENCE;

pub type Pools = BTreeMap<&'static str, PgPool>;

/// Waits until no service has anything to publish or to ask; returns the dead letters of each.
pub async fn quiet(pools: &Pools) -> BTreeMap<&'static str, i64> {
    eventually(PATIENCE, "outboxes and effects are empty", async || {
        let mut letters = BTreeMap::new();
        for (service, pool) in pools {
            let row = sqlx::query(
                "select (select count(*) from engine.outbox), (select count(*) from engine.effect),
                     (select count(*) from engine.dead_letter)",
            )
            .fetch_one(pool)
            .await
            .map_err(|error| error.to_string())?;
            let (outbox, effects): (i64, i64) = (row.get(0), row.get(1));
            if outbox + effects > 0 {
                return Err(format!("{service}: {outbox} to publish, {effects} to ask"));
            }
            letters.insert(*service, row.get(2));
        }
        Ok(letters)
    })
    .await
}

/// Waits until all laws hold; what is still under way may break them for a moment. `psp` is the provider's URL:
/// its ledger is read anew each time.
pub async fn hold(pools: &Pools, http: &reqwest::Client, psp: &str) {
    eventually(PATIENCE, "the laws hold", async || {
        let ledger = http.get(format!("{psp}/ledger")).send().await.map_err(|error| error.to_string())?;
        let ledger: Value = ledger.json().await.map_err(|error| error.to_string())?;
        let violations = violations(pools, &ledger).await.map_err(|error| error.to_string())?;
        if violations.is_empty() { Ok(()) } else { Err(violations.join("\n")) }
    })
    .await;
}

/// Each violation by law and order.
pub async fn violations(pools: &Pools, ledger: &Value) -> sqlx::Result<Vec<String>> {
    let mut violations = stock(&pools["inventory"]).await?;
    let orders = orders(pools).await?;
    for (id, order) in &orders {
        violations.extend(order.violations().into_iter().map(|it| format!("order {id}: {it}")));
    }
    violations.extend(money(&orders, ledger));
    violations.extend(folds(&pools["order"]).await?);
    Ok(violations)
}

/// On hand and deducted is what was put there; reserved is what the live reservations hold.
async fn stock(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(
        "select p.sku, p.on_hand, p.reserved, p.deducted, coalesce(a.total, 0)::bigint as seeded,
             coalesce(r.held, 0)::bigint as held
         from product p
         left join (select sku, sum(delta) as total from adjustment group by sku) a using (sku)
         left join (select item->>'sku' as sku, sum((item->>'quantity')::bigint) as held
                    from reservation, jsonb_array_elements(items) item
                    where status in ('reserved', 'kept') group by 1) r on r.sku = p.sku",
    );
    let violation = |row: &sqlx::postgres::PgRow| {
        let sku: String = row.get("sku");
        let [on_hand, reserved, deducted, seeded, held] =
            ["on_hand", "reserved", "deducted", "seeded", "held"].map(|it| row.get::<i64, _>(it));
        (on_hand + deducted != seeded || reserved != held || reserved < 0 || reserved > on_hand).then(|| {
            format!(
                "{sku}: on hand {on_hand} + deducted {deducted} of {seeded}, reserved {reserved} of {held}"
            )
        })
    };
    Ok(rows.fetch_all(pool).await?.iter().filter_map(violation).collect())
}

/// What each service says of one order.
#[derive(Debug, Default)]
struct Seen {
    status: String,
    paid: bool,
    total: i64,
    /// The order still waits to hear that something is back.
    owed: bool,
    payment: Option<(String, i64, i64)>,
    reservation: Option<String>,
    shipment: Option<String>,
}

async fn orders(pools: &Pools) -> sqlx::Result<BTreeMap<Uuid, Seen>> {
    let mut orders = BTreeMap::new();
    let query = "select order_id, status, paid, total_amount,
        'pending' in (coalesce(stock_compensation, ''), coalesce(payment_compensation, '')) from order_view";
    for row in sqlx::query(query).fetch_all(&pools["order"]).await? {
        let (status, paid, total, owed) = (row.get(1), row.get(2), row.get(3), row.get(4));
        let seen = Seen { status, paid, total, owed, ..Seen::default() };
        orders.insert(row.get::<Uuid, _>(0), seen);
    }
    let query = "select order_id, status, captured, refunded from payment";
    for row in sqlx::query(query).fetch_all(&pools["payment"]).await? {
        let order = orders.entry(row.get(0)).or_default();
        order.payment = Some((row.get(1), row.get(2), row.get(3)));
    }
    let query = "select order_id, status from reservation";
    for row in sqlx::query(query).fetch_all(&pools["inventory"]).await? {
        orders.entry(row.get(0)).or_default().reservation = Some(row.get(1));
    }
    let query = "select order_id, status from shipment";
    for row in sqlx::query(query).fetch_all(&pools["shipping"]).await? {
        orders.entry(row.get(0)).or_default().shipment = Some(row.get(1));
    }
    Ok(orders)
}

impl Seen {
    fn violations(&self) -> Vec<String> {
        let (payment, captured, refunded) = match &self.payment {
            Some((status, captured, refunded)) => (status.as_str(), *captured, *refunded),
            None => ("none", 0, 0),
        };
        let reservation = self.reservation.as_deref().unwrap_or("none");
        let shipment = self.shipment.as_deref().unwrap_or("none");
        let kept = match self.status.as_str() {
            "delivered" => {
                self.paid
                    && (payment, captured, refunded) == ("captured", self.total, 0)
                    && (reservation, shipment) == ("deducted", "delivered")
            }
            "cancelled" => {
                captured == refunded
                    && !self.owed
                    && ["none", "declined", "voided", "refunded", "cancelled"].contains(&payment)
                    && ["none", "rejected", "released", "expired", "cancelled"].contains(&reservation)
                    && ["none", "cancelled", "barred"].contains(&shipment)
            }
            // Everything else has not come to an end, or was never placed.
            _ => false,
        };
        if kept { vec![] } else { vec![format!("{self:?}")] }
    }
}

/// The provider's books: at most one capture per order, and the net of each is what the order has come to.
fn money(orders: &BTreeMap<Uuid, Seen>, ledger: &Value) -> Vec<String> {
    let mut books: HashMap<Uuid, Vec<(&str, i64)>> = HashMap::new();
    for entry in ledger["entries"].as_array().expect("entries") {
        let order_id = entry["order_id"].as_str().and_then(|it| it.parse().ok()).expect("an order id");
        let amount = entry["amount"].as_i64().expect("an amount");
        books.entry(order_id).or_default().push((entry["kind"].as_str().expect("a kind"), amount));
    }
    let mut violations = Vec::new();
    for (id, entries) in &books {
        let of =
            |kind: &str| -> Vec<i64> { entries.iter().filter(|it| it.0 == kind).map(|it| it.1).collect() };
        let sum = |kind: &str| of(kind).iter().sum::<i64>();
        let net = sum("capture") - sum("refund");
        let held = sum("authorize") - sum("capture") - sum("cancel");
        let expected = match orders.get(id) {
            Some(order) if order.status == "delivered" => order.total,
            Some(_) => 0,
            None => {
                violations.push(format!("the provider knows order {id}, and nobody else does"));
                continue;
            }
        };
        if net != expected || held != 0 || of("capture").len() > 1 || of("authorize").len() > 1 {
            violations.push(format!("order {id}: the ledger nets to {net} of {expected}: {entries:?}"));
        }
    }
    let charged = orders.iter().filter(|(_, it)| it.status == "delivered");
    let unknown = charged.filter(|(id, _)| !books.contains_key(id));
    violations
        .extend(unknown.map(|(id, _)| format!("order {id}: delivered, and not in the provider's ledger")));
    violations
}

/// The fold of an order's events is its row in the read model.
async fn folds(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    let mut folded: BTreeMap<Uuid, Order> = BTreeMap::new();
    let events =
        sqlx::query("select order_id, version, type, data from order_event order by order_id, version");
    for row in events.fetch_all(pool).await? {
        let event = OrderEvent::from_stored(row.get("type"), row.get("data")).expect("a readable event");
        match (folded.get_mut(&row.get("order_id")), event) {
            (None, OrderEvent::Placed(placed)) => {
                folded.insert(row.get("order_id"), Order::begin(*placed));
            }
            (Some(order), event) => order.evolve(&event),
            (None, _) => return Ok(vec![format!("order {}: begins in the middle", row.get::<Uuid, _>(0))]),
        }
        let version = folded.get(&row.get("order_id")).map(|it| it.version);
        if version != Some(row.get("version")) {
            return Ok(vec![format!("order {}: a gap in its versions", row.get::<Uuid, _>("order_id"))]);
        }
    }
    let mut violations = Vec::new();
    let rows = sqlx::query(
        "select order_id, version, sequence, status, paid, cancelling, cancel_reason, stock_compensation,
             payment_compensation
         from order_view",
    );
    for row in rows.fetch_all(pool).await? {
        let id: Uuid = row.get("order_id");
        let view =
            folded.remove(&id).map(|order| (order.version, order.sequence, order::OrderView::of(&order)));
        let same = view.as_ref().is_some_and(|(version, sequence, view)| {
            let shown = serde_json::to_value(view).expect("a view");
            let text = |column: &str| json!(row.get::<Option<String>, _>(column));
            (*version, *sequence, view.paid) == (row.get("version"), row.get("sequence"), row.get("paid"))
                && view.cancelling == row.get::<bool, _>("cancelling")
                && shown["status"] == text("status")
                && shown["cancel_reason"] == text("cancel_reason")
                && shown["compensation"]["stock"] == text("stock_compensation")
                && shown["compensation"]["payment"] == text("payment_compensation")
        });
        if !same {
            violations
                .push(format!("order {id}: its events fold to {view:?}, and its row says something else"));
        }
    }
    violations.extend(folded.keys().map(|id| format!("order {id}: has events and no row")));
    Ok(violations)
}

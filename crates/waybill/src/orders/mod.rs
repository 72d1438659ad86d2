//! `waybill orders`: as a customer, and as who is asked by one.

mod place;
mod watch;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use events::{Money, OrderId};
use serde::Deserialize;
use serde_json::json;

use crate::{
    client::{Answer, BaseUrl, Client, send},
    output::{say, table},
};

/// Place orders and see how they fare.
#[derive(Subcommand)]
pub(crate) enum Orders {
    Place(place::Place),
    /// Show an order.
    Show(Show),
    List(List),
    Watch(watch::Watch),
    /// Cancel an order: at once before it is confirmed; after that shipping is asked to stop the parcel.
    ///
    /// The order is then cancelled when shipping has stopped it: see `orders watch`. A shipped order stays as it is.
    Cancel(Cancel),
}

/// The order service.
#[derive(Args)]
struct Service {
    #[arg(long, env, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    order_url: BaseUrl,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One order.
#[derive(Args)]
pub(crate) struct Show {
    order_id: OrderId,
    #[command(flatten)]
    service: Service,
}

#[derive(Args)]
pub(crate) struct Cancel {
    order_id: OrderId,
    /// Why; kept in the order's history.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who wants it; kept as well.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    #[command(flatten)]
    service: Service,
}

/// List orders, newest first.
#[derive(Args)]
pub(crate) struct List {
    /// Only this customer's.
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Only those that stand so: placed, confirmed, shipped, delivered, cancelled.
    #[arg(long)]
    status: Option<String>,
    /// At the most so many, from 1 to 100.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Where the page before said that there are more.
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    service: Service,
}

/// What the service says of an order, as far as it is shown. Text where nothing depends on it, so that a service of
/// another version is understood.
#[derive(Deserialize)]
struct Order {
    order_id: OrderId,
    status: String,
    customer: Customer,
    lines: Vec<Line>,
    total: Money,
    cancel_reason: Option<String>,
    #[serde(default)]
    cancelling: bool,
    #[serde(default)]
    compensation: BTreeMap<String, String>,
    tracking_number: Option<String>,
    placed_at: String,
}

#[derive(Deserialize)]
struct Customer {
    id: String,
}

#[derive(Deserialize)]
struct Line {
    sku: String,
    quantity: u32,
    unit_price: Money,
}

pub(crate) async fn run(orders: Orders) -> anyhow::Result<()> {
    let client = Client::new()?;
    match orders {
        Orders::Place(it) => place::run(&client, it).await,
        Orders::Show(it) => show(&client, it).await,
        Orders::List(it) => list(&client, it).await,
        Orders::Watch(it) => watch::run(&client, it).await,
        Orders::Cancel(it) => cancel(&client, it).await,
    }
}

async fn show(client: &Client, Show { order_id, service }: Show) -> anyhow::Result<()> {
    let answer = send(client.get(&service.order_url, &format!("/orders/{order_id}"))).await?;
    answer.print(&service)
}

async fn cancel(client: &Client, cancel: Cancel) -> anyhow::Result<()> {
    let Cancel { order_id, reason, actor, service } = cancel;
    let mut request = client.post(&service.order_url, &format!("/orders/{order_id}/cancel"));
    if let Some(reason) = reason {
        request = request.json(&json!({ "reason": reason }));
    }
    if let Some(actor) = actor {
        request = request.header("X-Actor", actor);
    }
    let answer = send(request).await?;
    if !service.json && answer.json::<Order>()?.status != "cancelled" {
        say!(
            "shipping has been asked to stop the parcel; `waybill orders watch {order_id}` tells the outcome"
        );
    }
    answer.print(&service)
}

async fn list(client: &Client, list: List) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Page {
        orders: Vec<Order>,
        next_cursor: Option<String>,
    }
    let mut query = vec![("limit", list.limit.to_string())];
    query.extend(list.customer.map(|it| ("customer_id", it)));
    query.extend(list.status.map(|it| ("status", it)));
    query.extend(list.cursor.map(|it| ("cursor", it)));
    let answer = send(client.get(&list.service.order_url, "/orders").query(&query)).await?;
    if list.service.json {
        say!("{}", answer.body);
        return Ok(());
    }
    let page: Page = answer.json()?;
    let mut rows = vec![["ORDER", "STATUS", "TOTAL", "CUSTOMER", "PLACED AT"].map(String::from).to_vec()];
    rows.extend(page.orders.into_iter().map(|it| {
        let status = it.standing();
        vec![it.order_id.to_string(), status, it.total.to_string(), it.customer.id, it.placed_at]
    }));
    table(&rows);
    if let Some(cursor) = page.next_cursor {
        say!("more with --cursor {cursor}");
    }
    Ok(())
}

impl Answer {
    /// An answer that is an order.
    fn print(&self, service: &Service) -> anyhow::Result<()> {
        if service.json {
            say!("{}", self.body);
            return Ok(());
        }
        let order: Order = self.json()?;
        say!("order {} of {}: {}", order.order_id, order.customer.id, order.standing());
        for line in &order.lines {
            say!("  {:>5} x {:<12} at {}", line.quantity, line.sku, line.unit_price);
        }
        say!("  total {}, placed at {}", order.total, order.placed_at);
        for (what, standing) in &order.compensation {
            say!("  {what} given back: {standing}");
        }
        if let Some(number) = &order.tracking_number {
            say!("  tracking number {number}");
        }
        Ok(())
    }
}

impl Order {
    /// The status, and why if it is cancelled.
    fn standing(&self) -> String {
        match &self.cancel_reason {
            Some(reason) => format!("{} ({reason})", self.status),
            None if self.cancelling => format!("{} (to be cancelled)", self.status),
            None => self.status.clone(),
        }
    }
}

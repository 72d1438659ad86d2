//! `waybill orders watch`.

use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use events::{OrderId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tokio::time::{Instant, sleep};

use super::{Order, Service};
use crate::{
    client::{Client, Refused, send},
    exit::Unreachable,
    output::say,
};

/// Print each step of an order as it happens, with the seconds since it was placed, until it has come to an end.
///
/// Exit code 0 at either end, delivered or cancelled: the last line says which, and why. 1 when the time is over
/// before. With --json: one line per step, and as the last one the order.
#[derive(Args)]
pub(crate) struct Watch {
    order_id: OrderId,
    /// How long to watch, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    #[command(flatten)]
    service: Service,
}

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct History {
    events: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Step {
    r#type: String,
    data: Value,
    #[serde(with = "events::timestamp")]
    recorded_at: Timestamp,
}

impl Step {
    /// Without the version of its stored form.
    fn name(&self) -> &str {
        self.r#type.split_once('.').map_or(self.r#type.as_str(), |(name, _)| name)
    }

    /// What a person wants to know besides.
    fn remark(&self) -> &str {
        let said = |field| self.data.get(field).and_then(Value::as_str);
        said("reason").or_else(|| said("tracking_number")).unwrap_or_default()
    }
}

pub(super) async fn run(client: &Client, watch: Watch) -> anyhow::Result<()> {
    until_the_end(client, &watch.service, watch.order_id, watch.timeout).await
}

/// Polls the order's history: soon after a step, seldom while nothing happens.
pub(super) async fn until_the_end(
    client: &Client,
    service: &Service,
    order_id: OrderId,
    timeout: u64,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(timeout);
    let path = format!("/orders/{order_id}");
    let (mut seen, mut placed, mut pause) = (0, None, FIRST_PAUSE);
    loop {
        let answer = send(client.get(&service.order_url, &format!("{path}/history"))).await;
        let news = match answer {
            Ok(answer) => answer.json::<History>()?.events,
            // A service that is restarted while it is watched comes back.
            Err(error) if seen > 0 && passes(&error) => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut ended = false;
        for raw in news.iter().skip(seen) {
            let step: Step = serde_json::from_str(raw.get())?;
            let since = step.recorded_at - *placed.get_or_insert(step.recorded_at);
            ended |= matches!(step.name(), "delivered" | "cancelled");
            pause = FIRST_PAUSE;
            if service.json {
                say!("{}", raw.get());
            } else {
                say!("{:>8.3} s  {:<23} {}", since.as_seconds_f64(), step.name(), step.remark());
            }
        }
        seen = seen.max(news.len());
        if ended || Instant::now() + pause > deadline {
            let order = send(client.get(&service.order_url, &path)).await?;
            let standing = order.json::<Order>()?.standing();
            ensure!(ended, "order {order_id} has not come to an end within {timeout} s: it is {standing}");
            say!("{}", if service.json { order.body } else { standing });
            return Ok(());
        }
        sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

fn passes(error: &anyhow::Error) -> bool {
    let status = error.downcast_ref::<Refused>().map(|it| it.status.is_server_error());
    status.unwrap_or_else(|| error.is::<Unreachable>())
}

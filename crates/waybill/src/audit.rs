//! `waybill audit`: whether the running suite keeps its laws.

mod text;

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use audit::{Options, Report, Sources};
use bus::Bus;
use clap::Args;
use tokio::time::sleep;

use crate::{
    client::{BaseUrl, Client},
    exit::{Unclean, Unseen},
    output::{say_json, told},
    signals::Stops,
};

/// Check all conservation laws over the four databases, the topics and the provider's ledger.
///
/// It only reads, and is right under load: what is in flight is waited for where a verdict depends on it. Exit codes:
/// 0 clean, 1 a law is violated or something was found, 2 something could not be looked at.
#[derive(Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    places: Places,
    /// Print the report as JSON, in one line.
    #[arg(long)]
    json: bool,
    /// Go on until Ctrl-C; the exit code is that of the last look that came to its end.
    #[arg(long)]
    watch: bool,
    /// The pause between two looks: `10s`, `500ms`, `2m`.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = pause, requires = "watch")]
    every: Duration,
    /// How long what is committed may take to be published, and then to be read, before that is a finding.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    patience: Duration,
}

/// Where the parts of the suite are. The databases' URLs hold passwords, and are not shown.
#[derive(Args)]
pub(crate) struct Places {
    #[arg(
        long,
        env,
        hide_env_values = true,
        value_name = "URL",
        default_value = "postgres://order:order@127.0.0.1:5432/waybill_order"
    )]
    order_database_url: String,
    #[arg(
        long,
        env,
        hide_env_values = true,
        value_name = "URL",
        default_value = "postgres://inventory:inventory@127.0.0.1:5432/waybill_inventory"
    )]
    inventory_database_url: String,
    #[arg(
        long,
        env,
        hide_env_values = true,
        value_name = "URL",
        default_value = "postgres://payment:payment@127.0.0.1:5432/waybill_payment"
    )]
    payment_database_url: String,
    #[arg(
        long,
        env,
        hide_env_values = true,
        value_name = "URL",
        default_value = "postgres://shipping:shipping@127.0.0.1:5432/waybill_shipping"
    )]
    shipping_database_url: String,
    /// Kafka brokers to begin with, separated by commas.
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", default_value = "127.0.0.1:9092")]
    bootstrap_servers: String,
    /// First part of every topic's and consumer group's name.
    #[arg(long, env, default_value = "waybill")]
    topic_prefix: String,
    /// The provider, for its ledger.
    #[arg(long, env, value_name = "URL", default_value = "http://127.0.0.1:8084")]
    psp_url: BaseUrl,
}

/// `10s`, `500ms`, `2m`, `1h`, or seconds.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "expected 10s, 500ms, 2m or 1h".to_owned();
    let digits = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let seconds = match &text[digits..] {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" | "" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(wrong()),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// Without a pause the databases would be looked at all the time.
fn pause(text: &str) -> Result<Duration, String> {
    let given = time(text)?;
    (!given.is_zero()).then_some(given).ok_or_else(|| "expected a pause of 1ms or more".into())
}

impl Places {
    pub(crate) fn provider(&self) -> &BaseUrl {
        &self.psp_url
    }

    pub(crate) fn sources(&self, client: &Client) -> anyhow::Result<Sources> {
        let urls = [
            ("order", &self.order_database_url),
            ("inventory", &self.inventory_database_url),
            ("payment", &self.payment_database_url),
            ("shipping", &self.shipping_database_url),
        ];
        let mut databases = BTreeMap::new();
        for (service, url) in urls {
            let pool = audit::pool(url);
            databases.insert(service, pool.with_context(|| format!("--{service}-database-url"))?);
        }
        Ok(Sources {
            databases,
            bus: Bus::kafka(&self.bootstrap_servers)?,
            topic_prefix: self.topic_prefix.clone(),
            http: client.plain(),
            provider_url: self.psp_url.to_string(),
        })
    }
}

pub(crate) async fn run(audit: Audit) -> anyhow::Result<()> {
    let mut stops = Stops::new()?;
    let sources = audit.places.sources(&Client::new()?).map_err(Unseen)?;
    let mut last = Err(Unseen(anyhow::anyhow!("interrupted")).into());
    while let Some(ended) = once(&sources, &audit, &mut stops).await? {
        if !audit.watch {
            return ended;
        }
        if let Err(error) = &ended {
            eprintln!("waybill: {}", told(error));
        }
        last = ended;
        tokio::select! {
            () = stops.next() => break,
            () = sleep(audit.every) => {}
        }
    }
    last
}

/// One look and what it comes to; `None`: interrupted.
async fn once(
    sources: &Sources,
    audit: &Audit,
    stops: &mut Stops,
) -> anyhow::Result<Option<anyhow::Result<()>>> {
    let options = Options { patience: audit.patience, ..Options::default() };
    let report = tokio::select! {
        report = audit::audit(sources, &options) => report,
        () = stops.next() => return Ok(None),
    };
    let report = match report {
        Ok(report) => report,
        Err(error) => return Ok(Some(Err(Unseen(error).into()))),
    };
    if audit.json {
        say_json(&report)?
    } else {
        text::show(&report)
    }
    Ok(Some(verdict(&report)))
}

pub(crate) fn verdict(report: &Report) -> anyhow::Result<()> {
    if report.is_clean() {
        return Ok(());
    }
    let violations: u64 = report.laws.iter().map(|it| it.violations).sum();
    Err(Unclean { violations, findings: report.findings.len() }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(time("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(time("7"), Ok(Duration::from_secs(7)));
        assert_eq!(time("1h"), Ok(Duration::from_secs(3_600)));
        assert!(["", "s", "-1s", "1d", "400000000000000000m"].iter().all(|it| time(it).is_err()));
    }

    #[test]
    fn a_pause_takes_time() {
        assert_eq!(pause("1ms"), Ok(Duration::from_millis(1)));
        assert!(["0", "0s", "0ms", "0h", "1d"].iter().all(|it| pause(it).is_err()));
    }
}

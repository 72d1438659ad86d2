//! `waybill dead-letters list` and `actions`.

use clap::{Args, ValueEnum};
use events::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Bytes, Desks, Letter, Service, text};
use crate::{
    client::{BaseUrl, Client, send},
    output::{say, say_json, table},
};

/// List dead letters of all services or one, oldest first.
#[derive(Args)]
pub(crate) struct List {
    /// Only this service's.
    #[arg(long, value_enum)]
    service: Option<Service>,
    /// Only those of this key.
    #[arg(long)]
    key: Option<String>,
    /// Only those of this type: order.placed, or in full waybill.order.placed.v2.
    #[arg(long = "type", value_name = "TYPE")]
    of_type: Option<String>,
    /// Only those that failed for this cause, as the list shows it.
    #[arg(long)]
    cause: Option<String>,
    /// Only those that have failed themselves, or only those that wait behind one of their key.
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// At the most so many of each service.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// One line of JSON per letter.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    desks: Desks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Status {
    Poison,
    Waiting,
}

/// List what was done about dead letters, by whom and why, newest first.
#[derive(Args)]
pub(crate) struct Actions {
    /// Only this service's.
    #[arg(long, value_enum)]
    service: Option<Service>,
    /// At the most so many of each service.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// One line of JSON per action.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    desks: Desks,
}

/// What was done about a letter, as far as it is shown.
#[derive(Deserialize)]
struct Action {
    #[serde(with = "events::timestamp")]
    at: Timestamp,
    outcome: String,
    actor: String,
    reason: String,
    dead_letter_id: i64,
    key: Bytes,
    r#type: Option<String>,
    error: String,
}

/// Characters of an error, or of a reason, in a table.
const SHORT: usize = 72;

pub(super) async fn letters(client: &Client, list: List) -> anyhow::Result<()> {
    let status = list.status.map(|it| match it {
        Status::Poison => "poison".to_owned(),
        Status::Waiting => "waiting".to_owned(),
    });
    let given = [("key", list.key), ("type", list.of_type), ("cause", list.cause), ("status", status)];
    let query: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let asked =
        Asked { path: "/dead-letters", of: "dead_letters", query, limit: list.limit, json: list.json };
    let heading = ["SERVICE", "ID", "KEY", "TYPE", "CAUSE", "STATUS", "ATTEMPT", "AGE", "ERROR"];
    let now = Timestamp::now_utc();
    let row = |it: Letter| {
        vec![
            it.dead_letter_id.to_string(),
            text::short(&it.key.line(), SHORT),
            name_of(it.r#type.as_deref()),
            text::tame(&it.cause),
            text::tame(&it.status),
            it.attempt.to_string(),
            text::age(it.parked_at, now),
            text::short(&it.error, SHORT),
        ]
    };
    asked.show(client, &list.desks, list.service, &heading, row).await
}

pub(super) async fn actions(client: &Client, list: Actions) -> anyhow::Result<()> {
    let (path, of) = ("/dead-letters/actions", "actions");
    let asked = Asked { path, of, query: Vec::new(), limit: list.limit, json: list.json };
    let heading = ["SERVICE", "AGE", "OUTCOME", "ID", "KEY", "TYPE", "BY", "REASON", "ERROR"];
    let now = Timestamp::now_utc();
    let row = |it: Action| {
        vec![
            text::age(it.at, now),
            text::tame(&it.outcome),
            it.dead_letter_id.to_string(),
            text::short(&it.key.line(), SHORT),
            name_of(it.r#type.as_deref()),
            text::tame(&it.actor),
            text::short(&it.reason, SHORT),
            text::short(&it.error, SHORT),
        ]
    };
    asked.show(client, &list.desks, list.service, &heading, row).await
}

fn name_of(r#type: Option<&str>) -> String {
    r#type.map_or("-".to_owned(), |it| text::short(it, SHORT))
}

/// A list of a service, page by page.
struct Asked {
    path: &'static str,
    /// The member of a page that has what is listed.
    of: &'static str,
    query: Vec<(&'static str, String)>,
    limit: u64,
    json: bool,
}

impl Asked {
    async fn show<T: DeserializeOwned>(
        &self,
        client: &Client,
        desks: &Desks,
        service: Option<Service>,
        heading: &[&str],
        row: impl Fn(T) -> Vec<String>,
    ) -> anyhow::Result<()> {
        let mut rows = vec![heading.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()];
        let mut more = Vec::new();
        let asked = desks.ask(service, async |service, url| {
            let (found, rest) = self.of_service(client, url).await?;
            more.extend(rest.then_some(service.name()));
            for mut it in found {
                if self.json {
                    it.insert("service".into(), service.name().into());
                    say_json(&it)?;
                } else {
                    let cells = row(serde_json::from_value(it.into())?);
                    rows.push([service.name().to_owned()].into_iter().chain(cells).collect());
                }
            }
            Ok(())
        });
        let outcome = asked.await;
        if !self.json && (rows.len() > 1 || outcome.is_ok()) {
            table(&rows);
        }
        if !self.json && !more.is_empty() {
            say!("there are more of {}: see them with a higher --limit", more.join(", "));
        }
        outcome
    }

    /// What one service has, up to the limit, and whether it has more.
    async fn of_service(
        &self,
        client: &Client,
        url: &BaseUrl,
    ) -> anyhow::Result<(Vec<Map<String, Value>>, bool)> {
        const PAGE: u64 = 100;
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let room = self.limit - found.len() as u64;
            let mut query = self.query.clone();
            query.push(("limit", room.min(PAGE).to_string()));
            query.extend(cursor.map(|it: i64| ("cursor", it.to_string())));
            let mut page: Map<String, Value> =
                send(client.get(url, self.path).query(&query)).await?.json()?;
            let items: Vec<Map<String, Value>> =
                serde_json::from_value(page.remove(self.of).unwrap_or_default())?;
            found.extend(items);
            cursor = page.get("next_cursor").and_then(Value::as_i64);
            if cursor.is_none() || found.len() as u64 >= self.limit {
                return Ok((found, cursor.is_some()));
            }
        }
    }
}

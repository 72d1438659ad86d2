//! `waybill dead-letters show`.

use anyhow::Context;
use audit::number;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::Args;
use events::Timestamp;

use super::{Bytes, Desks, Letter, Service, text};
use crate::{
    client::{Client, send},
    output::say,
};

/// Show a dead letter with its headers and its payload.
#[derive(Args)]
pub(crate) struct Show {
    /// As the list shows it.
    id: i64,
    /// Whose it is.
    #[arg(long, value_enum)]
    service: Service,
    /// Print JSON: nothing is left out, nor made readable.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    desks: Desks,
}

/// Of a payload that is not text, so many bytes are shown.
const DUMPED: usize = 4_096;

pub(super) async fn run(client: &Client, show: Show) -> anyhow::Result<()> {
    let url = show.desks.of(show.service);
    let answer = send(client.get(url, &format!("/dead-letters/{}", show.id))).await;
    let answer = answer.context(show.service.name())?;
    if show.json {
        say!("{}", answer.body);
        return Ok(());
    }
    let letter: Letter = answer.json()?;
    print(show.service, &letter)
}

fn print(service: Service, letter: &Letter) -> anyhow::Result<()> {
    let age = text::age(letter.parked_at, Timestamp::now_utc());
    say!(
        "dead letter {} of {}: {}, {} after {}, {age} ago",
        letter.dead_letter_id,
        service.name(),
        text::tame(&letter.status),
        text::tame(&letter.cause),
        number(letter.attempt, "attempt"),
    );
    say!("  error  {}", text::tame(&letter.error));
    say!("  key    {}", letter.key.line());
    say!("  type   {}", letter.r#type.as_deref().map_or("none".to_owned(), text::tame));
    say!("  event  {}", text::tame(&letter.event_id));
    say!("  from   {}, partition {}, offset {}", text::tame(&letter.topic), letter.partition, letter.offset);
    say!("headers");
    for (name, value) in letter.headers.iter().flatten() {
        say!("  {}: {}", text::tame(name), value.as_ref().map_or("no value".to_owned(), Bytes::line));
    }
    for line in payload(letter)? {
        say!("{line}");
    }
    Ok(())
}

fn payload(letter: &Letter) -> anyhow::Result<Vec<String>> {
    let mut lines = vec![format!("payload, {} bytes", letter.payload_bytes)];
    let indent = |it: String| format!("  {it}");
    match &letter.payload {
        None => lines[0] = "no payload".to_owned(),
        Some(Bytes::Text(text)) => lines.extend(text::lines(text).into_iter().map(indent)),
        Some(Bytes::Binary { base64 }) => {
            let bytes = BASE64_STANDARD.decode(base64).context("the service's answer holds broken base64")?;
            let shown = &bytes[..bytes.len().min(DUMPED)];
            lines.extend(text::dump(shown).into_iter().map(indent));
            if shown.len() < bytes.len() {
                lines.push(indent(format!("and {} more: --json has them all", bytes.len() - shown.len())));
            }
        }
    }
    Ok(lines)
}

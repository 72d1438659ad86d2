//! `waybill repair`: commands for what an audit has found, proposed and, when confirmed, sent.
//!
//! **Invariant:** nothing is changed but by commands to the services and to the provider, each of which may be sent
//! twice; no statement of SQL writes. What no command mends is named.

mod advice;
mod hold;
mod money;
mod plan;
mod proposal;
mod send;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, io::IsTerminal, time::Duration};

use audit::{MOST, Options, Report, Sources, number};
use clap::Args;
use serde::Serialize;

use self::{
    plan::{Given, Plan},
    proposal::{Command, Targets},
    send::{Desk, Sent},
};
use crate::{
    audit::{Places, time, verdict},
    client::{BaseUrl, Client},
    dead_letters::{Desks, actor, tame},
    exit::{Misused, Unseen},
    output::{agreed, say, say_json},
};

/// Audit the suite, and propose a command for each thing that is wrong; send them when that is confirmed.
///
/// Each proposal says what is wrong, what would be sent, and what that will do. Nothing is sent without `--yes` or a
/// yes at a terminal; a cancellation or money only if it is proposed still by a fresh audit just before. Sent again,
/// none has a second effect. What no command mends is named. Exit codes: 0 all is well,
/// also after what was sent; 1 something is wrong, or left; 2 something could not be looked at.
#[derive(Args)]
pub(crate) struct Repair {
    #[command(flatten)]
    places: Places,
    /// The order service.
    #[arg(long, env, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    order_url: BaseUrl,
    /// The secret key that the provider knows us by. On this machine it is the stand-in's unless it is given.
    #[arg(long, env, hide_env_values = true, value_name = "KEY")]
    provider_api_key: Option<String>,
    /// Used where PROVIDER_API_KEY is not set.
    #[arg(long, env, hide = true, hide_env_values = true)]
    psp_api_key: Option<String>,
    /// Send, and do not ask.
    #[arg(long)]
    yes: bool,
    /// Also give back what the provider has of orders that no service has ever heard of. Say so only where this suite is
    /// the only one that uses the provider's account: it may be somebody else's money.
    #[arg(long)]
    unknown_orders: bool,
    /// Print one line of JSON. Without --yes nothing is asked, and nothing sent.
    #[arg(long)]
    json: bool,
    /// How long what is committed may take to be published, and then to be read, before that is a finding.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    patience: Duration,
    /// Who does it, for the record.
    #[arg(long, env = "USER", value_name = "NAME", value_parser = actor)]
    actor: Option<String>,
    #[command(flatten)]
    desks: Desks,
}

/// The default key of the stand-in, which protects nothing.
const STAND_IN_KEY: &str = "sk_test_waybill";

/// What was found, proposed and sent.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    sent: &'a [Sent],
    /// What an audit says after that: absent when nothing was sent, null when it could not look.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<Option<&'a Report>>,
}

pub(crate) async fn run(repair: Repair) -> anyhow::Result<()> {
    let client = Client::new()?;
    let sources = repair.places.sources(&client).map_err(Unseen)?;
    let report = repair.look(&sources).await?;
    let plan = repair.plan(&sources, &report).await.map_err(Unseen)?;
    if !repair.json {
        show(&plan, &report);
    }
    if !repair.agrees(&plan)? {
        if repair.json {
            say_json(&Told { plan: &plan, sent: &[], left: None })?;
        } else if !plan.proposals.is_empty() {
            say!("\nnothing was sent: --yes sends them");
        }
        return verdict(&report);
    }
    let desk = Desk { client: &client, actor: repair.actor(), key: repair.key(&plan)? };
    let mut sent = Vec::new();
    for proposal in &plan.proposals {
        let again = async || repair.plan(&sources, &repair.look(&sources).await?).await;
        let it = send::unless_mended(&proposal.command, again, async |it| desk.send(it).await).await;
        if !repair.json {
            show_sent(&proposal.command, &it);
        }
        sent.push(it);
    }
    // What was sent is told whatever becomes of the look.
    let left = repair.look(&sources).await;
    if repair.json {
        say_json(&Told { plan: &plan, sent: &sent, left: Some(left.as_ref().ok()) })?;
    }
    let left = left?;
    if !repair.json {
        say_left(&left);
    }
    verdict(&left)
}

impl Repair {
    async fn look(&self, sources: &Sources) -> anyhow::Result<Report> {
        Ok(audit::audit(sources, &Options { patience: self.patience, ..Options::default() })
            .await
            .map_err(Unseen)?)
    }

    async fn plan(&self, sources: &Sources, report: &Report) -> anyhow::Result<Plan> {
        let mut accounts = BTreeMap::new();
        for id in plan::unclear(report) {
            accounts.insert(id, audit::account(sources, id).await?);
        }
        let targets =
            Targets { order: &self.order_url, desks: &self.desks, provider: self.places.provider() };
        let given = Given { report, accounts: &accounts, unknown_orders: self.unknown_orders };
        Ok(plan::plan(&given, &targets))
    }

    fn agrees(&self, plan: &Plan) -> anyhow::Result<bool> {
        let count = plan.proposals.len();
        if count == 0 || self.yes || self.json || !std::io::stdin().is_terminal() {
            return Ok(count > 0 && self.yes);
        }
        agreed(&format!("send {}?", number(count, "command")))
    }

    fn actor(&self) -> &str {
        self.actor.as_deref().filter(|it| !it.is_empty()).unwrap_or("operator")
    }

    /// The provider's key; none where nothing is to be asked of the provider.
    fn key(&self, plan: &Plan) -> anyhow::Result<Option<&str>> {
        if !plan.proposals.iter().any(|it| it.command.is_of_the_provider()) {
            return Ok(None);
        }
        let given =
            [&self.provider_api_key, &self.psp_api_key].into_iter().flatten().find(|it| !it.is_empty());
        let stand_in = || self.places.provider().is_on_this_machine().then_some(STAND_IN_KEY);
        let key = given.map(String::as_str).or_else(stand_in);
        let missing =
            || Misused("PROVIDER_API_KEY is not set, and the provider is not on this machine".into());
        Ok(Some(key.ok_or_else(missing)?))
    }
}

fn show(plan: &Plan, report: &Report) {
    for it in &plan.proposals {
        say!("");
        it.wrong.iter().for_each(|wrong| say!("wrong: {}", tame(wrong)));
        say!("send:  {}", tame(&line(&it.command)));
        say!("does:  {}", tame(&it.does));
        say!("twice: {}, as {}", if it.safe_to_send_twice { "safe" } else { "not safe" }, it.twice);
    }
    for it in &plan.unmended {
        say!("");
        it.wrong.iter().for_each(|wrong| say!("wrong: {}", tame(wrong)));
        say!("do:    {}", it.advice);
    }
    if report.laws.iter().any(|it| it.violations > MOST as u64) {
        say!("\nof what is wrong more often than {MOST} times there is more: repair again after this");
    }
    let (sent, named) = (plan.proposals.len(), plan.unmended.len());
    say!("\n{}: {sent} commands to send, {named} things that no command mends", clean(report));
}

fn show_sent(command: &Command, it: &Sent) {
    let verb = if it.sent { "sent:" } else { "kept:" };
    say!("\n{verb} {}\n      {}", tame(&line(command)), tame(&it.answer));
    if let Some(advice) = it.advice {
        say!("do:   {advice}");
    }
}

fn clean(report: &Report) -> &'static str {
    if report.is_clean() { "clean" } else { "not clean" }
}

fn say_left(left: &Report) {
    say!("");
    let wrong =
        left.violations.iter().map(ToString::to_string).chain(left.findings.iter().map(ToString::to_string));
    wrong.for_each(|it| say!("left: {}", tame(&it)));
    say!("{}: orders that cannot be judged yet: {}", clean(left), left.in_flight);
}

/// A command in one line.
fn line(command: &Command) -> String {
    let Command { method, base, path, body, idempotency_key, .. } = command;
    let key = idempotency_key.as_ref().map(|it| format!(" (Idempotency-Key: {it})")).unwrap_or_default();
    let body = if body.is_null() { String::new() } else { format!(" {body}") };
    format!("{method} {base}{path}{body}{key}")
}

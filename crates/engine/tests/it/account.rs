//! A service to test the engine with: accounts, a journal of what happened to them, and inputs that do to the
//! engine whatever inputs can do.

use std::{collections::BTreeMap, time::Duration};

use engine::{
    Arrival, Deadline, Decided, Decider, Decision, Declined, Effect, Publication, Recorded, Timestamp, Writes,
};
use events::{Aggregate, Unreadable};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

/// What an account is to do. Events on the log and commands carry the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) account: String,
    pub(crate) amount: i64,
    #[serde(default)]
    pub(crate) twist: Twist,
}

/// What an order does besides booking its amount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum Twist {
    #[default]
    Plain,
    /// Overdraws the account, without asking whether it may: a constraint of the database is violated.
    Overdraw,
    Impossible,
    PanicInDecide,
    PanicInEvolve,
    /// Decides an event that is larger than the broker takes.
    Oversized,
    /// Calls the outside.
    Ask,
    /// Sets a deadline in so many milliseconds.
    Arm(u64),
    /// Clears it, if it has not come.
    Disarm,
}

#[derive(Debug)]
pub(crate) enum Input {
    Event(Order),
    Command(Order),
    Answered { account: String, twist: Twist },
    Due { account: String },
}

impl Input {
    pub(crate) fn account(&self) -> &str {
        match self {
            Self::Event(order) | Self::Command(order) => &order.account,
            Self::Answered { account, .. } | Self::Due { account } => account,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Booked,
    Asked,
    Answered,
    Armed,
    Disarmed,
    Expired,
    /// Cannot be applied: evolving it panics.
    Broken,
    /// Published with a payload over the limit.
    Oversized,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Happened {
    pub(crate) account: String,
    pub(crate) kind: Kind,
    pub(crate) amount: i64,
    /// Counts the account's events from 1.
    pub(crate) sequence: i64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    balance: i64,
    sequence: i64,
    armed: bool,
    stored: bool,
}

pub(crate) type World = BTreeMap<String, Account>;

/// The answer to a command: the account after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Statement {
    pub(crate) balance: i64,
    pub(crate) sequence: i64,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Insufficient {
    pub(crate) balance: i64,
}

/// The name and type of the events that accounts read, and the type of those that they publish.
pub(crate) const ORDERED: &str = "account.ordered";
pub(crate) const ORDERED_TYPE: &str = "waybill.account.ordered.v1";
pub(crate) const CHANGED_TYPE: &str = "waybill.account.changed.v1";
/// The topic that accounts read, and the one that they publish to.
pub(crate) const READS: &[Aggregate] = &[Aggregate::Order];
pub(crate) const PUBLISHES: Aggregate = Aggregate::Payment;
const EXPIRY: &str = "expiry";

pub(crate) const SCHEMA: &str = "
    create table account (
        account_id text primary key,
        balance bigint not null,
        sequence bigint not null,
        armed bool not null,
        constraint account_covered check (balance >= 0)
    ) with (fillfactor = 70);
    create table journal (
        event_id uuid primary key,
        account_id text not null,
        sequence bigint not null,
        cause_id uuid not null,
        correlation_id uuid not null,
        kind text not null,
        amount bigint not null,
        constraint journal_sequence unique (account_id, sequence)
    );";

pub(crate) struct Accounts;

impl Decider for Accounts {
    type Input = Input;
    type Event = Happened;
    type World = World;
    type Reply = Statement;
    type Refusal = Insufficient;

    const SERVICE: &'static str = "account";
    const DEADLINES: &'static [&'static str] = &[EXPIRY];

    fn read(&self, event: &Arrival<'_>) -> Result<Option<Input>, Unreadable> {
        match (event.name, event.version) {
            (ORDERED, 1) => {
                let order = serde_json::from_slice(event.data);
                order.map(|it| Some(Input::Event(it))).map_err(|error| Unreadable::Data(error.to_string()))
            }
            (ORDERED, version) => Err(Unreadable::Version { name: ORDERED, version }),
            _ => Ok(None),
        }
    }

    fn due(&self, kind: &str, key: &str) -> Option<Input> {
        (kind == EXPIRY).then(|| Input::Due { account: key.to_owned() })
    }

    fn sheds(input: &Input) -> bool {
        matches!(input, Input::Command(order) if order.twist == Twist::Plain)
    }

    async fn load(&self, tx: &mut PgConnection, inputs: &[&Input]) -> sqlx::Result<World> {
        let mut world: World =
            inputs.iter().map(|it| (it.account().to_owned(), Account::default())).collect();
        let rows = sqlx::query(
            "select account_id, balance, sequence, armed from account
             where account_id = any($1) order by account_id for update",
        )
        .bind(world.keys().cloned().collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
        for row in &rows {
            let account = Account {
                balance: row.try_get("balance")?,
                sequence: row.try_get("sequence")?,
                armed: row.try_get("armed")?,
                stored: true,
            };
            world.insert(row.try_get("account_id")?, account);
        }
        Ok(world)
    }

    fn decide(&self, world: &World, input: &Input, _: Timestamp) -> Decided<Self> {
        match input {
            Input::Command(order) if world[&order.account].balance + order.amount < 0 => {
                Err(Declined::Refused(Insufficient { balance: world[&order.account].balance }))
            }
            Input::Event(order) | Input::Command(order) => carry_out(&world[&order.account], order),
            Input::Answered { twist: Twist::Impossible, .. } => {
                Err(Declined::Impossible("nobody asked".into()))
            }
            Input::Answered { account, .. } => Ok(happened(&world[account], account, Kind::Answered, 0)),
            Input::Due { account } if !world[account].armed => Ok(Decision::nothing()),
            Input::Due { account } => Ok(happened(&world[account], account, Kind::Expired, 0)),
        }
    }

    fn evolve(&self, world: &mut World, event: &Happened) {
        assert_ne!(event.kind, Kind::Broken, "cannot be applied");
        let account = world.entry(event.account.clone()).or_default();
        account.balance += event.amount;
        account.sequence = event.sequence;
        match event.kind {
            Kind::Armed => account.armed = true,
            Kind::Disarmed | Kind::Expired => account.armed = false,
            _ => {}
        }
    }

    fn reply(&self, world: &World, input: &Input) -> Option<Statement> {
        let account = world.get(input.account())?;
        Some(Statement { balance: account.balance, sequence: account.sequence })
    }

    fn publish(&self, _: &World, event: &Happened) -> Option<Publication> {
        let mut data = serde_json::to_vec(event).expect("an event serialises");
        if event.kind == Kind::Oversized {
            data.resize(1_000_000, b' ');
        }
        Some(Publication {
            aggregate: PUBLISHES,
            key: event.account.clone(),
            r#type: CHANGED_TYPE,
            sequence: event.sequence,
            data,
        })
    }

    fn save(&self, writes: &mut Writes, world: &World, events: &[Recorded<Happened>]) {
        save_accounts(writes, world, events);
        write_journal(writes, events);
    }
}

fn carry_out(account: &Account, order: &Order) -> Decided<Accounts> {
    let it = |kind| happened(account, &order.account, kind, order.amount);
    let key = order.account.clone();
    match order.twist {
        Twist::Plain | Twist::Overdraw => Ok(it(Kind::Booked)),
        Twist::Impossible => Err(Declined::Impossible("this can never be".into())),
        Twist::PanicInDecide => panic!("cannot be decided"),
        Twist::PanicInEvolve => Ok(it(Kind::Broken)),
        Twist::Oversized => Ok(it(Kind::Oversized)),
        Twist::Ask => Ok(it(Kind::Asked).with_effect(Effect { request: key.clone(), key })),
        Twist::Arm(milliseconds) => {
            let after = Duration::from_millis(milliseconds);
            Ok(it(Kind::Armed).with_deadline(Deadline::Set { key, kind: EXPIRY, after }))
        }
        Twist::Disarm if !account.armed => Ok(Decision::nothing()),
        Twist::Disarm => Ok(it(Kind::Disarmed).with_deadline(Deadline::Clear { key, kind: EXPIRY })),
    }
}

fn happened(account: &Account, id: &str, kind: Kind, amount: i64) -> Decision<Happened> {
    Decision::events([Happened { account: id.to_owned(), kind, amount, sequence: account.sequence + 1 }])
}

/// A new account is inserted plainly: of two batches that create it at once the second is decided anew.
fn save_accounts(writes: &mut Writes, world: &World, events: &[Recorded<Happened>]) {
    let mut ids: Vec<&str> = events.iter().map(|it| it.event.account.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let (stored, new): (Vec<&str>, Vec<&str>) = ids.into_iter().partition(|it| world[*it].stored);
    let insert =
        "insert into account select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bool[])";
    let update = "update account set balance = it.balance, sequence = it.sequence, armed = it.armed
        from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bool[]) it (id, balance, sequence, armed)
        where account_id = it.id";
    for (statement, ids) in [(insert, new), (update, stored)] {
        if ids.is_empty() {
            continue;
        }
        let accounts: Vec<&Account> = ids.iter().map(|it| &world[*it]).collect();
        writes
            .add(statement)
            .bind(&ids)
            .bind(accounts.iter().map(|it| it.balance).collect::<Vec<_>>())
            .bind(accounts.iter().map(|it| it.sequence).collect::<Vec<_>>())
            .bind(accounts.iter().map(|it| it.armed).collect::<Vec<_>>());
    }
}

fn write_journal(writes: &mut Writes, events: &[Recorded<Happened>]) {
    writes.add(
        "insert into journal (event_id, account_id, sequence, cause_id, correlation_id, kind, amount)
         select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::uuid[], $5::uuid[], $6::text[], $7::bigint[])",
    )
    .bind(events.iter().map(|it| it.id).collect::<Vec<Uuid>>())
    .bind(events.iter().map(|it| it.event.account.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|it| it.event.sequence).collect::<Vec<_>>())
    .bind(events.iter().map(|it| it.causation_id).collect::<Vec<_>>())
    .bind(events.iter().map(|it| it.correlation_id).collect::<Vec<_>>())
    .bind(events.iter().map(|it| format!("{:?}", it.event.kind)).collect::<Vec<_>>())
    .bind(events.iter().map(|it| it.event.amount).collect::<Vec<_>>());
}

//! What the suite consists of, and where each part listens.

use std::{env, time::Duration};

use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use crate::{client::BaseUrl, exit::Misused};

/// The services, as topics and databases know them.
pub(crate) const SERVICES: [&str; 4] = ["order", "inventory", "payment", "shipping"];

/// One process of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Kafka,
    Postgres,
    Psp,
    Order,
    Inventory,
    Payment,
    Shipping,
}

use Part::{Inventory, Kafka, Order, Payment, Postgres, Psp, Shipping};

impl Part {
    /// In the order in which they are started.
    pub(crate) const ALL: [Part; 7] = [Kafka, Postgres, Psp, Order, Inventory, Payment, Shipping];
    /// Those that are programs of ours.
    pub(crate) const PROGRAMS: [Part; 5] = [Psp, Order, Inventory, Payment, Shipping];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kafka => "kafka",
            Postgres => "postgres",
            Psp => "psp",
            Order => "order",
            Inventory => "inventory",
            Payment => "payment",
            Shipping => "shipping",
        }
    }

    /// What asks it to stop. Postgres: a fast shutdown, which does not wait for clients to leave.
    pub(crate) fn stop_signal(self) -> Signal {
        if self == Postgres { Signal::SIGINT } else { Signal::SIGTERM }
    }
}

/// Where the parts listen on 127.0.0.1.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Ports on 127.0.0.1")]
pub(crate) struct Ports {
    #[arg(long, env, value_name = "PORT", default_value_t = 9092, value_parser = port())]
    kafka_port: u16,
    #[arg(long, env, value_name = "PORT", default_value_t = 5432, value_parser = port())]
    postgres_port: u16,
    #[arg(long, env, value_name = "PORT", default_value_t = 8080, value_parser = port())]
    order_port: u16,
    #[arg(long, env, value_name = "PORT", default_value_t = 8081, value_parser = port())]
    inventory_port: u16,
    #[arg(long, env, value_name = "PORT", default_value_t = 8082, value_parser = port())]
    payment_port: u16,
    #[arg(long, env, value_name = "PORT", default_value_t = 8083, value_parser = port())]
    shipping_port: u16,
    #[arg(long, env, value_name = "PORT", default_value_t = 8084, value_parser = port())]
    psp_port: u16,
    #[arg(long, env, value_name = "PORT", default_value_t = 8090, value_parser = port())]
    order_admin_port: u16,
    #[arg(long, env, value_name = "PORT", default_value_t = 8091, value_parser = port())]
    inventory_admin_port: u16,
    #[arg(long, env, value_name = "PORT", default_value_t = 8092, value_parser = port())]
    payment_admin_port: u16,
    #[arg(long, env, value_name = "PORT", default_value_t = 8093, value_parser = port())]
    shipping_admin_port: u16,
}

fn port() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

impl Ports {
    pub(crate) fn of(&self, part: Part) -> u16 {
        match part {
            Kafka => self.kafka_port,
            Postgres => self.postgres_port,
            Psp => self.psp_port,
            Order => self.order_port,
            Inventory => self.inventory_port,
            Payment => self.payment_port,
            Shipping => self.shipping_port,
        }
    }

    /// Where a service listens for the operator.
    pub(crate) fn admin_of(&self, part: Part) -> Option<u16> {
        match part {
            Kafka | Postgres | Psp => None,
            Order => Some(self.order_admin_port),
            Inventory => Some(self.inventory_admin_port),
            Payment => Some(self.payment_admin_port),
            Shipping => Some(self.shipping_admin_port),
        }
    }

    pub(crate) fn url(&self, part: Part) -> BaseUrl {
        BaseUrl::local(self.of(part))
    }

    /// Where a part can be asked, in words.
    pub(crate) fn shown(&self, part: Part) -> String {
        let admin = self.admin_of(part).map(|port| format!(", operator {}", BaseUrl::local(port)));
        format!("{}{}", self.url(part), admin.unwrap_or_default())
    }

    /// Those of a part, each with the variable that moves it.
    fn variables_of(&self, part: Part) -> impl Iterator<Item = (String, u16)> + use<> {
        let name = part.name().to_uppercase();
        let admin = self.admin_of(part).map(|port| (format!("{name}_ADMIN_PORT"), port));
        [(format!("{name}_PORT"), self.of(part))].into_iter().chain(admin)
    }

    /// The variables that move them, with their values.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (String, u16)> {
        Part::ALL.into_iter().flat_map(|part| self.variables_of(part))
    }

    /// Fails, with the variable that moves it, on the first port of `parts` that somebody else has.
    pub(crate) async fn check_free(&self, parts: &[Part]) -> anyhow::Result<()> {
        // A process that was just killed is gone a moment before its port is.
        let deadline = Instant::now() + Duration::from_secs(1);
        for (variable, port) in parts.iter().flat_map(|part| self.variables_of(*part)) {
            while let Err(taken) = local::claim_port(Some(port), &variable) {
                if Instant::now() > deadline {
                    return Err(taken);
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }
}

/// The topics' prefix, and the passwords of the services' roles: what a suite is told from outside besides ports.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Settings {
    /// First part of every topic's and consumer group's name.
    #[arg(long, env, default_value = "waybill")]
    pub(crate) topic_prefix: String,
    #[command(flatten)]
    pub(crate) ports: Ports,
}

impl Settings {
    /// The password of a service's role: its `.._DB_PASSWORD`, or for development its name.
    pub(crate) fn password(service: &str) -> anyhow::Result<String> {
        let variable = format!("{}_DB_PASSWORD", service.to_uppercase());
        let password =
            env::var(&variable).ok().filter(|it| !it.is_empty()).unwrap_or_else(|| service.to_owned());
        // It stands in URLs, in a shell's variables and in SQL that takes no parameters.
        if !password.bytes().all(|it| it.is_ascii_alphanumeric()) {
            return Err(Misused(format!("{variable} may have letters and digits only")).into());
        }
        Ok(password)
    }

    /// The URL of a service's database, as its role.
    pub(crate) fn database_url(&self, service: &str) -> anyhow::Result<String> {
        let (password, port) = (Self::password(service)?, self.ports.of(Postgres));
        Ok(format!("postgres://{service}:{password}@127.0.0.1:{port}/waybill_{service}"))
    }

    pub(crate) fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports.of(Kafka))
    }

    /// What `target/up.env` says, for shells (`set -a; . target/up.env`) and tools.
    pub(crate) fn environment(&self) -> anyhow::Result<String> {
        let mut lines = vec![
            format!("KAFKA_BOOTSTRAP_SERVERS={}", self.bootstrap_servers()),
            format!("TOPIC_PREFIX={}", self.topic_prefix),
        ];
        for part in Part::PROGRAMS {
            lines.push(format!("{}_URL={}", part.name().to_uppercase(), self.ports.url(part)));
            let admin = self.ports.admin_of(part).map(BaseUrl::local);
            lines.extend(admin.map(|url| format!("{}_ADMIN_URL={url}", part.name().to_uppercase())));
        }
        for service in SERVICES {
            lines.push(format!("{}_DATABASE_URL={}", service.to_uppercase(), self.database_url(service)?));
        }
        Ok(lines.join("\n") + "\n")
    }
}

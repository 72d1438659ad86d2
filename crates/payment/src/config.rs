use std::{fmt, net::IpAddr};

use anyhow::Context as _;
use clap::builder::NonEmptyStringValueParser;
use reqwest::{Url, header::HeaderValue};

/// What the payment service is told from outside.
#[derive(clap::Parser, Clone)]
#[command(name = "waybill-payment", about = "The payment service of Waybill")]
#[command(mut_arg("http_addr", |arg| arg.default_value("127.0.0.1:8082")))]
pub struct Config {
    #[command(flatten)]
    pub chassis: service::Config,

    /// Where the payment service provider is: Stripe, or the stand-in of this suite.
    #[arg(long, env = "PROVIDER_URL", default_value = "http://127.0.0.1:8084", value_parser = provider_url)]
    pub provider_url: Url,

    /// The secret key that the provider knows us by. Needed unless the provider is on this machine: then it
    /// is the stand-in's, with the stand-in's key.
    #[arg(
        long,
        env = "PROVIDER_API_KEY",
        hide_env_values = true,
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub provider_api_key: Option<String>,
}

/// The default key of `psp`, which protects nothing.
const STAND_IN_KEY: &str = "sk_test_waybill";

impl Config {
    /// The value of the `Authorization` header, marked as a secret.
    pub(crate) fn authorization(&self) -> anyhow::Result<HeaderValue> {
        let stand_in = || is_loopback(&self.provider_url).then_some(STAND_IN_KEY);
        let key = self.provider_api_key.as_deref().or_else(stand_in);
        let key = key.context("PROVIDER_API_KEY is not set, and PROVIDER_URL is not on this machine")?;
        let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
            .context("PROVIDER_API_KEY holds what no header may hold")?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Without the key: configurations end up in logs.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("chassis", &self.chassis)
            .field("provider_url", &self.provider_url.as_str())
            .finish_non_exhaustive()
    }
}

fn provider_url(value: &str) -> Result<Url, String> {
    let expected = "expected http(s)://host[:port][/path], without user, query or fragment";
    let url: Url = value.parse().map_err(|_| expected)?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    match (url.scheme(), url.has_host() && bare) {
        ("http" | "https", true) => Ok(url),
        _ => Err(expected.to_owned()),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || ip.is_ok_and(|it: IpAddr| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn parse(args: &[&str]) -> Result<Config, clap::Error> {
        let given = ["payment", "--database-url", "postgres://me@db/x"].iter().chain(args);
        Config::try_parse_from(given)
    }

    #[track_caller]
    fn check(url: &str, key: Option<&str>, expected: Option<&str>) {
        let key: Vec<&str> = key.iter().flat_map(|it| ["--provider-api-key", it]).collect();
        let config = parse(&[&["--provider-url", url], &key[..]].concat()).unwrap();
        let value = config.authorization().ok();
        assert_eq!(value.as_ref().map(|it| it.to_str().unwrap()), expected, "{url}");
    }

    #[test]
    fn the_key_has_a_default_on_this_machine_alone() {
        for here in
            ["http://127.0.0.1:8084", "http://localhost:1", "http://[::1]:8084", "http://127.80.0.9:1"]
        {
            check(here, None, Some("Bearer sk_test_waybill"));
        }
        for elsewhere in
            ["https://api.stripe.com", "http://psp:8084", "http://10.0.0.1", "http://localhost.evil"]
        {
            check(elsewhere, None, None);
        }
        check("https://api.stripe.com", Some("sk_live_1"), Some("Bearer sk_live_1"));
        check("http://127.0.0.1:8084", Some("sk_test_2"), Some("Bearer sk_test_2"));
    }

    #[test]
    fn a_url_is_plain() {
        for wrong in
            ["", "8084", "127.0.0.1:8084", "ftp://psp", "http://u:p@psp", "http://psp?x", "http://psp#x"]
        {
            assert!(parse(&["--provider-url", wrong]).is_err(), "{wrong:?}");
        }
        assert!(parse(&["--provider-api-key", ""]).is_err());
        assert!(parse(&["--provider-api-key", "a\nb"]).unwrap().authorization().is_err());
    }

    #[test]
    fn the_key_is_not_printed() {
        let config =
            parse(&["--provider-url", "https://psp.example", "--provider-api-key", "sk_live_1"]).unwrap();
        let printed = format!("{config:?} {:?}", config.authorization().unwrap());
        assert!(printed.contains("psp.example") && !printed.contains("sk_live"), "{printed}");
    }
}

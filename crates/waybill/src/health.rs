//! `waybill healthcheck`: for containers and scripts.

use crate::{
    client::{BaseUrl, Client, send},
    output::say,
};

/// Ask services whether they are ready: exit code 0 if all are, else 1.
#[derive(clap::Args)]
pub(crate) struct Healthcheck {
    /// URLs to ask; one without a path is asked for /readyz. None: the four services of the environment.
    urls: Vec<BaseUrl>,
    #[arg(long, env, default_value = "http://127.0.0.1:8080", hide = true)]
    order_url: BaseUrl,
    #[arg(long, env, default_value = "http://127.0.0.1:8081", hide = true)]
    inventory_url: BaseUrl,
    #[arg(long, env, default_value = "http://127.0.0.1:8082", hide = true)]
    payment_url: BaseUrl,
    #[arg(long, env, default_value = "http://127.0.0.1:8083", hide = true)]
    shipping_url: BaseUrl,
}

pub(crate) async fn run(asked: Healthcheck) -> anyhow::Result<()> {
    let client = Client::new()?;
    let urls = match asked.urls.as_slice() {
        [] => vec![asked.order_url, asked.inventory_url, asked.payment_url, asked.shipping_url],
        urls => urls.to_vec(),
    };
    let mut unready = Vec::new();
    for url in urls {
        let path = if url.has_path() { "" } else { "/readyz" };
        match send(client.get(&url, path)).await {
            Ok(_) => say!("{url} is ready"),
            // Also where nobody answers: 1 is what a container engine takes for unhealthy.
            Err(error) => unready.push(format!("{url} is not ready: {error:#}")),
        }
    }
    anyhow::ensure!(unready.is_empty(), "{}", unready.join("\nwaybill: "));
    Ok(())
}

//! `waybill products`: a catalogue to order from.

use std::{fmt, fs, path::PathBuf};

use anyhow::Context;
use clap::Subcommand;
use events::{Money, Sku};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    client::{BaseUrl, Client, Refused, send},
    exit::Misused,
    output::say,
};

/// Products on sale.
#[derive(Subcommand)]
pub(crate) enum Products {
    /// Put products on sale: a demo catalogue, or those of a file.
    ///
    /// Names and prices are set to what is given. Stock is added to products that are new, once: seeding again adds
    /// nothing.
    Seed(Seed),
}

#[derive(clap::Args)]
pub(crate) struct Seed {
    /// One product per line: {"sku":"MUG-01","name":"Mug","price":{"amount":1999,"currency":"USD"},"stock":100}.
    #[arg(long)]
    file: Option<PathBuf>,
    #[arg(long, env, value_name = "URL", default_value = "http://127.0.0.1:8081")]
    inventory_url: BaseUrl,
}

/// A product to be put on sale.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Product {
    sku: Sku,
    name: String,
    price: Money,
    stock: u32,
}

/// What inventory says of a product, as far as it matters here.
#[derive(Deserialize)]
struct Shelf {
    on_hand: i64,
}

/// How many products a seeding has found and made.
pub(crate) struct Seeded {
    new: usize,
    known: usize,
}

impl fmt::Display for Seeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} seeded, {} new", self.new + self.known, self.new)
    }
}

/// SKU, name, price in cents, stock.
const DEMO: [(&str, &str, i64, u32); 12] = [
    ("MUG-01", "Stoneware mug, 350 ml", 1_999, 1_000),
    ("MUG-02", "Travel mug, steel", 2_950, 400),
    ("TEE-S", "T-shirt, organic cotton, S", 2_400, 250),
    ("TEE-M", "T-shirt, organic cotton, M", 2_400, 500),
    ("TEE-L", "T-shirt, organic cotton, L", 2_400, 300),
    ("NOTE-A5", "Notebook, A5, dotted", 1_250, 800),
    ("PEN-BLK", "Fountain pen, black", 3_900, 150),
    ("BAG-01", "Canvas tote bag", 1_800, 600),
    ("LAMP-01", "Desk lamp, brass", 8_900, 60),
    ("CHAIR-01", "Writing chair, oak", 24_900, 20),
    ("TEA-100", "Green tea, 100 g", 950, 1_200),
    ("RARE-01", "Signed print, the last five", 12_000, 5),
];

pub(crate) async fn run(products: Products) -> anyhow::Result<()> {
    let Products::Seed(Seed { file, inventory_url }) = products;
    let products = match file {
        Some(file) => read(&file)?,
        None => demo()?,
    };
    let seeded = seed(&Client::new()?, &inventory_url, &products).await?;
    say!(
        "{seeded}; an order for them can be placed when the order service has heard of them, mostly at once"
    );
    Ok(())
}

/// Seeds the demo catalogue where there is no product at all.
pub(crate) async fn seed_if_none(client: &Client, inventory: &BaseUrl) -> anyhow::Result<Option<Seeded>> {
    #[derive(Deserialize)]
    struct Page {
        products: Vec<serde::de::IgnoredAny>,
    }
    let page: Page = send(client.get(inventory, "/products?limit=1")).await?.json()?;
    if !page.products.is_empty() {
        return Ok(None);
    }
    Ok(Some(seed(client, inventory, &demo()?).await?))
}

async fn seed(client: &Client, inventory: &BaseUrl, products: &[Product]) -> anyhow::Result<Seeded> {
    let mut seeded = Seeded { new: 0, known: 0 };
    for product in products {
        let new = seed_one(client, inventory, product).await.with_context(|| product.sku.to_string())?;
        *if new { &mut seeded.new } else { &mut seeded.known } += 1;
    }
    Ok(seeded)
}

/// Returns whether the product was new.
async fn seed_one(client: &Client, inventory: &BaseUrl, product: &Product) -> anyhow::Result<bool> {
    let Product { sku, name, price, stock } = product;
    let path = format!("/products/{sku}");
    let put = send(client.put(inventory, &path).json(&json!({"name": name, "price": price}))).await?;
    let new = put.status == StatusCode::CREATED;
    // Also to one without stock, in case an earlier seeding was cut off here: the key adds it once.
    if *stock == 0 || !(new || put.json::<Shelf>()?.on_hand == 0) {
        return Ok(new);
    }
    let adjust = client.post(inventory, &format!("{path}/adjustments"));
    let adjust = adjust.header("Idempotency-Key", format!("seed-{sku}"));
    let adjusted = send(adjust.json(&json!({"delta": stock, "reason": "first stock"}))).await;
    match adjusted {
        // The key was used with another quantity: it was seeded, and is sold out.
        Err(error) if !new && is_conflict(&error) => Ok(false),
        adjusted => adjusted.map(|_| new),
    }
}

fn is_conflict(error: &anyhow::Error) -> bool {
    let status = error.downcast_ref::<Refused>().map(|it| it.status);
    matches!(status, Some(StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY))
}

fn demo() -> anyhow::Result<Vec<Product>> {
    let product = |(sku, name, cents, stock): (&str, &str, i64, u32)| {
        let price = Money { amount: cents, currency: "USD".parse()? };
        Ok(Product { sku: sku.parse()?, name: name.to_owned(), price, stock })
    };
    DEMO.into_iter().map(product).collect()
}

fn read(file: &PathBuf) -> Result<Vec<Product>, Misused> {
    let text = fs::read_to_string(file).map_err(|it| Misused(format!("reading {}: {it}", file.display())))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parse = |(index, line): (usize, &str)| {
        let wrong = |it| Misused(format!("{}, line {}: {it}", file.display(), index + 1));
        serde_json::from_str(line).map_err(wrong)
    };
    lines.map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_catalogue_is_valid_and_names_no_product_twice() {
        let mut skus: Vec<String> = demo().unwrap().into_iter().map(|it| it.sku.to_string()).collect();
        skus.sort();
        skus.dedup();
        assert_eq!(skus.len(), DEMO.len());
    }
}

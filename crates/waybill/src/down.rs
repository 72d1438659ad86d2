//! `waybill down`: stops what `up -d` has left.

use crate::{
    output::{Steps, say},
    place::Place,
    up::{self, Runtime, RuntimeChoice, compose},
};

/// Stop what `up -d` has left running, whichever way it runs. Does nothing where nothing runs.
#[derive(clap::Args)]
pub(crate) struct Down {
    /// Delete all data too: databases, topics, the provider's ledger, logs.
    #[arg(long)]
    purge: bool,
    #[command(flatten)]
    runtime: RuntimeChoice,
    /// The suite of that name.
    #[arg(long, env = "WAYBILL_SUITE", value_parser = up::suite_name)]
    name: Option<String>,
}

pub(crate) async fn run(down: Down) -> anyhow::Result<()> {
    let (place, steps) = (Place::of(down.name.as_deref())?, Steps::begin());
    let turn = place.turn().await?;
    let asked = down.runtime.asked();
    let mut stopped = false;
    if asked != Some(Runtime::Native) {
        let always = asked == Some(Runtime::Compose);
        stopped |= compose::down(&place, down.name.as_deref(), down.purge, always).await?;
    }
    if asked != Some(Runtime::Compose) {
        let running = place.running()?;
        stopped |= !running.is_empty();
        place.stop(&running, &steps).await?;
        if down.purge {
            place.purge()?;
            say!("its data is deleted");
        }
    }
    drop(turn);
    if !stopped {
        say!("nothing is up");
    }
    Ok(())
}

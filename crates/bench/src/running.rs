//! A process of the suite that is measured.

use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use local::{Launch, Process};

pub(crate) struct Running {
    /// Where it listens.
    pub(crate) at: SocketAddr,
    pub(crate) launch: Launch,
    /// None while it is not to run.
    process: Mutex<Option<Process>>,
}

impl Running {
    /// Not started yet.
    pub(crate) fn new(at: SocketAddr, launch: Launch) -> Self {
        Self { at, launch, process: Mutex::new(None) }
    }

    /// Starts it: its process id.
    pub(crate) fn start(&self) -> anyhow::Result<u32> {
        let process = self.launch.start()?;
        let pid = process.pid();
        *self.process() = Some(process);
        Ok(pid)
    }

    /// An error if it has ended although it is to run.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.check_process(self.process().as_ref())
    }

    /// Its process, if it is to run, for whoever ends it: from now on its end is nobody else's concern. An error if it has
    /// ended before.
    pub(crate) fn let_go(&self) -> anyhow::Result<Option<Process>> {
        let mut process = self.process();
        self.check_process(process.as_ref())?;
        Ok(process.take())
    }

    fn check_process(&self, process: Option<&Process>) -> anyhow::Result<()> {
        process.map_or(Ok(()), |it| it.check(&self.launch))
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Starting a process that does not outlive us, or one that does.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{OnceLock, mpsc},
    thread,
};

use anyhow::{Context, bail};
use nix::{sys::signal::Signal, unistd::User};

use crate::process::{Process, birth_of};

/// Whether a server goes when this process goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It ends with this process, also when that is killed: the kernel tells it.
    Bound,
    /// It stays, until it is stopped through its pid file.
    Detached,
}

/// What it takes to start a process, any number of times: a restart uses the same one.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Names the process in errors, and its files: `<name>.pid` and `<name>.log`.
    pub name: String,
    /// Where those files are; also the working directory.
    pub dir: PathBuf,
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub env: Vec<(String, String)>,
    /// Whether our own environment is its as well.
    pub inherits: bool,
    /// Whom it runs as, if not as ourselves.
    pub user: Option<User>,
    pub life: Life,
    /// What a bound process gets when its parent has died or lets go of it.
    pub orphaned: Signal,
}

impl Launch {
    /// A bound process of our own user with neither arguments nor variables of its own, killed when orphaned.
    pub fn new(name: impl Into<String>, dir: impl Into<PathBuf>, program: impl Into<PathBuf>) -> Launch {
        Launch {
            name: name.into(),
            dir: dir.into(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            inherits: true,
            user: None,
            life: Life::Bound,
            orphaned: Signal::SIGKILL,
        }
    }

    /// Starts it, in a process group of its own (Ctrl-C at the terminal is for us, not for servers), output to its log.
    pub fn start(&self) -> anyhow::Result<Process> {
        self.refuse_second()?;
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = spawn(command).with_context(|| format!("starting {}", self.name))?;
        let started = birth_of(&child).context("reading /proc")?;
        let process = Process::started(self, child, started);
        fs::write(self.dir.join(format!("{}.pid", self.name)), format!("{} {started}\n", process.pid()))?;
        Ok(process)
    }

    /// An error if it runs already.
    pub(crate) fn refuse_second(&self) -> anyhow::Result<()> {
        match Process::find(&self.dir, &self.name)? {
            Some(running) => {
                bail!("{} already runs in {} (pid {})", self.name, self.dir.display(), running.pid())
            }
            None => Ok(()),
        }
    }

    /// Its output so far, over all starts.
    pub fn log(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }

    /// The end of the log, for an error message.
    pub fn last_words(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        match &lines[lines.len().saturating_sub(15)..] {
            [] => format!("{}, which is empty", self.log().display()),
            last => format!("{}, which ends:\n{}", self.log().display(), last.join("\n")),
        }
    }

    fn command(&self) -> Command {
        let mut command = match self.life {
            Life::Bound => bound(&self.program, self.orphaned),
            Life::Detached => Command::new(&self.program),
        };
        if !self.inherits {
            command.env_clear();
        }
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.dir);
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }
}

/// A command that gets `signal` when the thread that spawned it ends, so also when its process is killed.
///
/// Through setpriv(1), of util-linux: there is no other way to it without unsafe code. Where that is missing
/// nothing is promised, and what ends the process is only the drop of its owner.
pub fn bound(program: impl AsRef<OsStr>, signal: Signal) -> Command {
    let Some(setpriv) = setpriv() else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", signal.as_str().trim_start_matches("SIG"), "--"]).arg(program);
    command
}

/// The program of that name on the `PATH`.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn setpriv() -> Option<&'static Path> {
    static SETPRIV: OnceLock<Option<PathBuf>> = OnceLock::new();
    SETPRIV
        .get_or_init(|| {
            let setpriv = which("setpriv")?;
            let help = Command::new(&setpriv).arg("--help").output().ok()?;
            let knows = String::from_utf8_lossy(&help.stdout).contains("--pdeathsig");
            knows.then_some(setpriv)
        })
        .as_deref()
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Spawns from a thread that lives as long as this process.
///
/// The kernel reports the death of the parent *thread*, and a runtime's threads come and go.
fn spawn(command: Command) -> anyhow::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, queue) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in queue {
                // Whoever asked waits for the answer.
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let program = command.get_program().to_owned();
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).context("the spawning thread is gone")?;
    let child = answer.recv().context("the spawning thread is gone")?;
    child.with_context(|| format!("running {}", program.display()))
}

//! A disk that can be full.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::Context;
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::statvfs::statvfs,
};

/// A tmpfs on a directory. Dropping it unmounts it.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: PathBuf,
}

/// As good as endless for a run: what counts against the memory is what is written.
const ROOM: u64 = 6 << 30;

impl Disk {
    /// Mounts one on `dir`, which is created.
    pub(crate) fn mount(dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(dir)?;
        let options = format!("size={ROOM},mode=0755");
        mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
            .with_context(|| format!("mounting a disk on {}", dir.display()))?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Mounts one on the directory that a server is going to run in, with the server's log beside it: what a server says
    /// when its disk is full has to be written somewhere.
    pub(crate) fn under_server(dir: &Path) -> anyhow::Result<Self> {
        let disk = Self::mount(dir)?;
        let name = dir.file_name().context("a server without a name")?;
        let log = Path::new(name).with_extension("log");
        symlink(Path::new("..").join(&log), dir.join(&log)).context("putting a log beside its disk")?;
        Ok(disk)
    }

    /// Whether this process may mount disks at all; the error says why not.
    pub(crate) fn probe() -> anyhow::Result<()> {
        let scratch = local::Scratch::new()?;
        Self::mount(&scratch.path().join("disk")).map(drop)
    }

    /// Takes away all room that is free now. Returns the bytes that are in use.
    pub(crate) fn fill(&self) -> anyhow::Result<u64> {
        // Under load more may be in use a moment later, and then the kernel refuses the smaller size.
        for _ in 0..100 {
            let used = self.used()?;
            match self.resize(used) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                done => return done.context("making the disk small").map(|()| used),
            }
        }
        anyhow::bail!("{} grows faster than it can be made small", self.dir.display())
    }

    /// Gives the room back. Returns whether it had been taken away.
    pub(crate) fn free(&self) -> anyhow::Result<bool> {
        let it = statvfs(&self.dir)?;
        let was_small = it.blocks() * it.fragment_size() < ROOM;
        self.resize(ROOM).context("making the disk large")?;
        Ok(was_small)
    }

    /// What a program that writes there is told now.
    pub(crate) fn try_to_write(&self) -> io::Result<()> {
        let file = self.dir.join("probe");
        let written = fs::write(&file, [1; 64 * 1024]);
        let _ = fs::remove_file(file);
        written
    }

    fn used(&self) -> anyhow::Result<u64> {
        let it = statvfs(&self.dir)?;
        Ok((it.blocks() - it.blocks_free()) * it.fragment_size())
    }

    fn resize(&self, size: u64) -> io::Result<()> {
        let options = format!("size={size}");
        Ok(mount(None::<&str>, &self.dir, None::<&str>, MsFlags::MS_REMOUNT, Some(options.as_str()))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process that is on its way out may still have a file open.
        if let Err(error) = umount2(&self.dir, MntFlags::MNT_DETACH) {
            tracing::warn!(dir = %self.dir.display(), %error, "the disk stays mounted");
        }
    }
}

/// Unmounts what runs have left that were killed, so that their directories can be deleted.
pub(crate) fn sweep() -> anyhow::Result<()> {
    match local::home().join("run") {
        runs if runs.exists() => sweep_below(&runs),
        _ => Ok(()),
    }
}

fn sweep_below(runs: &Path) -> anyhow::Result<()> {
    // The kernel lists a mount by where it really is, whatever way led there.
    let runs = runs.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    for dir in mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new) {
        let Ok(rest) = dir.strip_prefix(&runs) else { continue };
        let Some(run) = rest.components().next() else { continue };
        let held = File::open(runs.join(run).join("lock")).is_ok_and(|it| it.try_lock().is_err());
        if !held {
            umount2(dir, MntFlags::MNT_DETACH).with_context(|| format!("unmounting {}", dir.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_server_whose_disk_is_full_can_still_write_its_log() {
        if let Err(error) = Disk::probe() {
            return eprintln!("not tested, as no disk can be mounted here: {error:#}");
        }
        let scratch = local::Scratch::new().unwrap();
        let dir = scratch.path().join("kafka");
        let disk = Disk::under_server(&dir).unwrap();
        let mut log = File::options().create(true).append(true).open(dir.join("kafka.log")).unwrap();

        // A tmpfs of size 0 would have no end.
        fs::write(dir.join("data"), "something").unwrap();
        disk.fill().unwrap();

        disk.try_to_write().unwrap_err();
        log.write_all(&[b'x'; 64 * 1024]).unwrap();
        assert_eq!(fs::read(dir.join("kafka.log")).unwrap().len(), 64 * 1024);
    }

    #[test]
    fn what_a_killed_run_has_left_is_unmounted_also_where_a_link_leads_there_and_what_is_in_use_is_not() {
        if let Err(error) = Disk::probe() {
            return eprintln!("not tested, as no disk can be mounted here: {error:#}");
        }
        let scratch = local::Scratch::new().unwrap();
        let (runs, link) = (scratch.path().join("run"), scratch.path().join("link"));
        let [left, used] = ["left", "used"].map(|it| Disk::mount(&runs.join(it).join("disk")).unwrap());
        let lock = File::create(runs.join("used").join("lock")).unwrap();
        lock.lock().unwrap();
        symlink(&runs, &link).unwrap();

        sweep_below(&link).unwrap();

        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let is_mounted =
            |disk: &Disk| mounts.contains(&format!(" {} ", disk.dir.canonicalize().unwrap().display()));
        assert_eq!((is_mounted(&left), is_mounted(&used)), (false, true), "{mounts}");
        // Nothing is there to be unmounted when it is dropped.
        std::mem::forget(left);
    }
}

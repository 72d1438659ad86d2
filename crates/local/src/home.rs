//! Where downloads and data live, and whom Postgres runs as.

use std::{
    env,
    ffi::OsString,
    fs::{self, Permissions},
    io::ErrorKind,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use nix::unistd::{User, geteuid};

/// The directory of everything that this crate keeps: `WAYBILL_CACHE_DIR`, or `target/local` of the workspace.
///
/// Root gets `/var/lib/waybill` when its checkout is closed to others (under `/root`, say): Postgres
/// then runs as another user, who has to reach both its binaries and its data. Put data directories below this one.
pub fn home() -> PathBuf {
    home_from(env::var_os("WAYBILL_CACHE_DIR"), server_user().ok().flatten().as_ref(), &target())
}

fn home_from(chosen: Option<OsString>, user: Option<&User>, target: &Path) -> PathBuf {
    let default = target.join("local");
    match (chosen, user) {
        (Some(dir), _) => dir.into(),
        (None, Some(user)) if closed_to(user, &default).is_some() => "/var/lib/waybill".into(),
        _ => default,
    }
}

fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => dir.into(),
        None => {
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).join("target")
        }
    }
}

/// Whom the Postgres server runs as: it refuses root, so root's servers are `nobody`'s; else whoever runs us.
pub(crate) fn server_user() -> anyhow::Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let nobody = User::from_name("nobody").context("looking up the user nobody")?;
    nobody
        .map(Some)
        .context("Postgres refuses to run as root, and this machine has no user `nobody` to run it as")
}

/// Hands a directory, or a file, to the server's user.
pub(crate) fn give(path: &Path, user: Option<&User>) -> anyhow::Result<()> {
    let Some(user) = user else { return Ok(()) };
    chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
        .with_context(|| format!("giving {} to {}", path.display(), user.name))
}

/// Creates a directory, and those above it, that everyone may enter, whatever the umask: root's Postgres is another user.
/// Those that exist are left as they are.
pub(crate) fn create_open(dir: &Path) -> anyhow::Result<()> {
    let mut missing: Vec<_> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
    missing.reverse();
    for dir in missing {
        let made = match fs::create_dir(dir) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => fs::set_permissions(dir, Permissions::from_mode(0o755)),
        };
        made.with_context(|| format!("creating {}", dir.display()))?;
    }
    Ok(())
}

/// One clear line if the server's user cannot get to `path`.
pub(crate) fn check_reachable(path: &Path, user: Option<&User>) -> anyhow::Result<()> {
    let Some(user) = user else { return Ok(()) };
    if let Some(closed) = closed_to(user, path) {
        bail!(
            "Postgres refuses to run as root, and the user {} that it runs as instead cannot enter {}: \
             chmod o+x it, or set WAYBILL_CACHE_DIR to a directory that everyone can enter",
            user.name,
            closed.display()
        );
    }
    Ok(())
}

/// The first directory on the way to `path` that `user` may not enter.
fn closed_to(user: &User, path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let mut parents: Vec<_> = path.ancestors().skip(1).collect();
    parents.reverse();
    parents.into_iter().find(|dir| !enterable(user, dir)).map(Path::to_path_buf)
}

fn enterable(user: &User, dir: &Path) -> bool {
    let Ok(meta) = dir.metadata() else { return true };
    let bit = if meta.uid() == user.uid.as_raw() {
        0o100
    } else if meta.gid() == user.gid.as_raw() {
        0o010
    } else {
        0o001
    };
    meta.mode() & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_that_others_cannot_enter_sends_root_elsewhere() {
        let stranger =
            User { uid: 54321.into(), gid: 54321.into(), ..User::from_uid(geteuid()).unwrap().unwrap() };
        let open = env::temp_dir().join(format!("home-{}", uuid::Uuid::now_v7()));
        let closed = open.join("closed");
        fs::create_dir_all(&closed).unwrap();
        fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
        let home = |chosen: Option<&str>, user, target| home_from(chosen.map(OsString::from), user, target);

        assert_eq!(home(None, Some(&stranger), &open), open.join("local"));
        assert_eq!(home(None, Some(&stranger), &closed), Path::new("/var/lib/waybill"));
        assert_eq!(home(None, None, &closed), closed.join("local"));
        assert_eq!(home(Some("/elsewhere"), Some(&stranger), &closed), Path::new("/elsewhere"));
        fs::remove_dir_all(open).unwrap();
    }
}

//! Whether folders could be made and addresses listened on.

use std::io::ErrorKind;
use std::net::{TcpListener, ToSocketAddrs as _};
use std::path::Path;

use rustix::fs::{Access, access};

use super::report::{Finding, Level};
use crate::config::{DiskGuard, Listen};
use crate::disk_guard::free_bytes;

/// What is wrong with `folder` of the folder that `key` names, if it is there.
pub(super) fn unusable(key: &str, folder: &Path) -> Option<Finding> {
    if !folder.exists() {
        return None;
    }
    let finding = self::folder(key, folder);
    (finding.level == Level::Problem).then_some(finding)
}

/// Whether `folder`, which `key` names, is one that this process can write in, or could be made.
pub(super) fn folder(key: &str, folder: &Path) -> Finding {
    let shown = folder.display();
    let Some(there) = existing(folder) else {
        return Finding::problem(format!("{key}: nothing above {shown} exists"));
    };
    if !there.is_dir() {
        return Finding::problem(format!("{key}: {} is no folder", there.display()));
    }
    let writable = access(there, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK);
    match writable {
        Err(error) => Finding::problem(format!(
            "{key}: this user cannot write in {}: {error}",
            there.display()
        )),
        Ok(()) if there == folder => Finding::ok(format!("{key}: {shown} can be written in")),
        Ok(()) => Finding::ok(format!("{key}: {shown} would be made at the start")),
    }
}

/// A warning if the node would take in nothing, for lack of room.
pub(super) fn room(key: &str, folder: &Path, guard: &DiskGuard) -> Option<Finding> {
    let free = free_bytes(existing(folder)?).ok()?;
    (free < guard.resume_free_bytes).then(|| {
        Finding::warning(format!(
            "{key}: {} MB are free there; the node would take in nothing below {} MB (General.DiskGuard.MinFree)",
            free >> 20,
            guard.min_free_bytes >> 20
        ))
    })
}

/// The folder, or the nearest one above it that exists.
fn existing(folder: &Path) -> Option<&Path> {
    let above = folder.ancestors().map(|one| {
        // What is above a relative path is the working directory.
        if one.as_os_str().is_empty() {
            Path::new(".")
        } else {
            one
        }
    });
    above.into_iter().find(|one| one.exists())
}

/// Whether `listen` is an address of this machine, and whether its port is free.
pub(super) fn address(listener: &str, listen: &Listen) -> Finding {
    let (host, port) = listen.target();
    let at = match (host, port).to_socket_addrs().map(|mut found| found.next()) {
        Ok(Some(at)) => at,
        Ok(None) => return Finding::problem(format!("the {listener} listener: {host} has no address")),
        Err(error) => {
            return Finding::problem(format!(
                "the {listener} listener: {host} cannot be resolved: {error}"
            ));
        }
    };
    match TcpListener::bind(at) {
        Ok(_) => Finding::ok(format!("the {listener} listener: {listen} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::warning(format!(
            "the {listener} listener: {listen} is in use, which is as it should be if the node runs"
        )),
        // Every interface of IPv4 where the system has no IPv6, as at the start.
        Err(_) if listen.host.is_empty() && TcpListener::bind(("0.0.0.0", port)).is_ok() => {
            Finding::ok(format!("the {listener} listener: {listen} is free"))
        }
        Err(error) => Finding::problem(format!(
            "the {listener} listener: cannot listen on {listen}: {error}"
        )),
    }
}

//! What the operating system says about the process, under the names that every Prometheus client uses.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::instrument::{Gauge, Total, to_f64};
use super::registry::Registry;

/// `process_*`.
pub struct Process {
    cpu: Total,
    open_files: Gauge,
    open_files_max: Gauge,
    resident: Gauge,
    address_space: Gauge,
}

impl Process {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let start = registry.gauge(
            "process_start_time_seconds",
            "When the node was started, in seconds since 1970.",
        );
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        start.set(since_epoch.as_secs_f64());
        Self {
            cpu: registry.total("process_cpu_seconds_total", "Processor time used, in seconds."),
            open_files: registry.gauge("process_open_fds", "Open files and sockets."),
            open_files_max: registry.gauge("process_max_fds", "Files and sockets that may be open."),
            resident: registry.gauge("process_resident_memory_bytes", "Memory in use, in bytes."),
            address_space: registry.gauge("process_virtual_memory_bytes", "Address space in use, in bytes."),
        }
    }
}

/// Asks for all of it. What a system does not say stays as it was.
pub(super) fn sample(process: &Process) {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    if let (Ok(seconds), Ok(nanos)) = (u64::try_from(cpu.tv_sec), u32::try_from(cpu.tv_nsec)) {
        process.cpu.set(to_f64(seconds) + f64::from(nanos) / 1e9);
    }
    if let Some(max) = getrlimit(Resource::Nofile).current {
        process.open_files_max.set_count(max);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The folder itself is open while it is read.
        process.open_files.set_count(open.count().saturating_sub(1));
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (name, gauge) in [("VmRSS:", &process.resident), ("VmSize:", &process.address_space)] {
        if let Some(kilobytes) = kilobytes(&status, name) {
            gauge.set_count(kilobytes.saturating_mul(1024));
        }
    }
}

/// The number in the line that begins with `name`.
fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_measured() {
        let mut registry = Registry::default();
        let process = Process::new(&mut registry);
        sample(&process);
        assert!(process.cpu.get() > 0.0);
        assert!(process.open_files.get() >= 3.0);
        assert!(process.open_files_max.get() >= process.open_files.get());
        assert!(process.resident.get() > 1e6);
        assert!(process.address_space.get() >= process.resident.get());
    }

    #[test]
    fn kilobytes_are_read_from_their_line() {
        let status = "Name:\tx\nVmSize:\t  120 kB\nVmRSS:\t     7 kB\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(7));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
    }
}

//! What the machine is: numbers mean nothing without it. Reads `/proc`, as Linux has it.

use std::fs;
use std::path::Path;

/// Describes processor, cores, kernel, and the file system of a folder, in a line.
pub(crate) fn describe(folder: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let (device, kind, options) = mount(folder).unwrap_or_default();
    let memory_only =
        if kind == "tmpfs" { " (in memory: a sync costs nothing; choose another --folder)" } else { "" };
    format!(
        "{}, {cores} cores, Linux {}, {kind}{memory_only} on {device} ({options})",
        processor(),
        kernel.trim()
    )
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned())
}

/// Finds the mount that a folder is on: device, kind, options.
fn mount(folder: &Path) -> Option<(String, String, String)> {
    let folder = folder.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let fields = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let over = mounts.lines().map(fields).filter(|mount| mount.len() > 3 && folder.starts_with(&mount[1]));
    // Of mounts on the same place the last one counts.
    let mount = over.max_by_key(|mount| mount[1].len())?;
    Some((mount[0].clone(), mount[2].clone(), mount[3].clone()))
}

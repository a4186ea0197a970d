//! What the machine, or the container the node runs in, has to offer: memory and cores.
//!
//! Sources: `proc(5)` for `meminfo` and `mountinfo`, `cgroups(7)`, and the kernel's `cgroup-v1/memory.rst` and
//! `cgroup-v2.rst` for the limit files.

use std::fs;
use std::path::{Path, PathBuf};

/// Assumed when nothing tells how much memory there is, as on systems without `/proc`.
const MEMORY_FALLBACK: u64 = 1 << 30;

/// Memory and cores a node may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Bytes of memory: the machine's, or the tightest limit of the control groups the process is in.
    pub memory: u64,
    /// Cores, at least 1; affinity and CPU quotas are taken into account.
    pub cores: u16,
}

impl Machine {
    /// Asks the operating system.
    pub fn here() -> Machine {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Machine {
            memory: memory_under(Path::new("/")),
            cores: u16::try_from(cores).unwrap_or(u16::MAX),
        }
    }
}

/// The memory a process may use, read from the `proc` and `sys` below `root`.
fn memory_under(root: &Path) -> u64 {
    let machine = fs::read_to_string(root.join("proc/meminfo"))
        .ok()
        .and_then(|text| mem_total(&text));
    match (machine, group_limit(root)) {
        (Some(machine), Some(limit)) => machine.min(limit),
        (Some(bytes), None) | (None, Some(bytes)) => bytes,
        (None, None) => MEMORY_FALLBACK,
    }
}

/// `MemTotal` of `/proc/meminfo`, which is in KiB.
fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

/// The tightest memory limit among the process's control groups and all their ancestors, of either version.
fn group_limit(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
    let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
    groups
        .lines()
        .filter_map(Group::parse)
        .flat_map(|group| {
            let mount = mounts.iter().find(|mount| mount.version == group.version)?;
            mount.limit_of(root, group.path)
        })
        .min()
}

/// The two versions of control groups; a machine may use both at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    /// The files that hold a limit. `memory.high` counts, since a process above it is slowed to a crawl.
    fn limit_files(self) -> &'static [&'static str] {
        match self {
            Version::One => &["memory.limit_in_bytes"],
            Version::Two => &["memory.max", "memory.high"],
        }
    }
}

/// A line of `/proc/self/cgroup` that concerns memory.
struct Group<'a> {
    version: Version,
    path: &'a str,
}

impl Group<'_> {
    /// Lines are `ID:CONTROLLERS:PATH`; version 2 has the id 0 and no controllers.
    fn parse(line: &str) -> Option<Group<'_>> {
        let mut fields = line.splitn(3, ':');
        let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let version = match (id, controllers) {
            ("0", "") => Version::Two,
            (_, names) if names.split(',').any(|name| name == "memory") => Version::One,
            _ => return None,
        };
        Some(Group { version, path })
    }
}

/// Where a hierarchy of control groups that knows memory is mounted.
struct Mount {
    version: Version,
    /// The group that the mount point shows. In a container it is often the container's own.
    top: String,
    at: String,
}

impl Mount {
    /// Lines are `ID PARENT DEV TOP POINT OPTIONS [TAGS..] - TYPE SOURCE SUPER_OPTIONS`.
    fn parse(line: &str) -> Option<Mount> {
        let (before, after) = line.split_once(" - ")?;
        let mut kind = after.split(' ');
        let version = match (kind.next()?, kind.nth(1)) {
            ("cgroup2", _) => Version::Two,
            ("cgroup", Some(options)) if options.split(',').any(|option| option == "memory") => Version::One,
            _ => return None,
        };
        let mut fields = before.split(' ').skip(3);
        Some(Mount {
            version,
            top: fields.next()?.to_owned(),
            at: fields.next()?.to_owned(),
        })
    }

    /// The tightest limit on the way from the group up to the mount point.
    fn limit_of(&self, root: &Path, group: &str) -> Option<u64> {
        let point = root.join(self.at.trim_start_matches('/'));
        // A path outside of what is mounted (as with a group namespace) leaves the mount point itself to be asked.
        let below = Path::new(group).strip_prefix(&self.top).unwrap_or(Path::new(""));
        let below: PathBuf = below
            .components()
            .filter(|part| matches!(part, std::path::Component::Normal(_)))
            .collect();
        let folders = below.ancestors().map(|part| point.join(part));
        folders.filter_map(|folder| self.limit_in(&folder)).min()
    }

    fn limit_in(&self, folder: &Path) -> Option<u64> {
        let read = |file: &&str| fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok();
        self.version.limit_files().iter().filter_map(read).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with files under it, gone when dropped.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Tree {
            let root = std::env::temp_dir().join(format!("larder-machine-{}-{name}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Tree(root)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:        8388608 kB\nMemFree:  1 kB\n");
    const MOUNT_V2: (&str, &str) = (
        "proc/self/mountinfo",
        "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
    );
    const MOUNT_V1: (&str, &str) = (
        "proc/self/mountinfo",
        "33 30 0:29 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
         34 30 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n",
    );

    #[test]
    fn without_groups_the_machine_counts() {
        let tree = Tree::new("plain", &[MEMINFO]);
        assert_eq!(memory_under(&tree.0), 8 << 30);
    }

    #[test]
    fn the_tightest_of_nested_groups_counts() {
        let tree = Tree::new(
            "v2",
            &[
                MEMINFO,
                MOUNT_V2,
                ("proc/self/cgroup", "0::/system.slice/larder.service\n"),
                ("sys/fs/cgroup/system.slice/memory.max", "1073741824\n"),
                ("sys/fs/cgroup/system.slice/larder.service/memory.max", "max\n"),
                ("sys/fs/cgroup/system.slice/larder.service/memory.high", "2147483648\n"),
            ],
        );
        assert_eq!(memory_under(&tree.0), 1 << 30);
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_mount_point() {
        let tree = Tree::new(
            "v1",
            &[
                MEMINFO,
                MOUNT_V1,
                ("proc/self/cgroup", "4:memory:/docker/abc/inner\n3:cpu:/docker/abc\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
                (
                    "sys/fs/cgroup/memory/inner/memory.limit_in_bytes",
                    "9223372036854771712\n",
                ),
            ],
        );
        assert_eq!(memory_under(&tree.0), 512 << 20);
    }

    #[test]
    fn a_group_outside_of_the_mount_is_asked_at_the_mount_point() {
        let tree = Tree::new(
            "outside",
            &[
                MEMINFO,
                MOUNT_V2,
                ("proc/self/cgroup", "0::/../../elsewhere\n"),
                ("sys/fs/cgroup/memory.max", "268435456\n"),
            ],
        );
        assert_eq!(memory_under(&tree.0), 256 << 20);
    }

    #[test]
    fn nothing_known_falls_back() {
        let tree = Tree::new("nothing", &[("proc/empty", "")]);
        assert_eq!(memory_under(&tree.0), MEMORY_FALLBACK);
    }
}

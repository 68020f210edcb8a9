//! Takes rights away from this process by Landlock, a part of the Linux kernel: from then on it may read, write and connect
//! to what its [`Permissions`] name, and so may the libraries in it and the processes that it starts.
//!
//! Landlock restricts the thread that asks for it and those that it starts, so [`enter`] comes before all other threads.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

/// The version whose rights are taken away. An older kernel takes away those that it knows.
const VERSION: ABI = ABI::V7;
/// The first versions that know the TCP ports, ioctl requests to devices, and signals.
const PORTS_SINCE: ABI = ABI::V4;
const DEVICES_SINCE: ABI = ABI::V5;
const SIGNALS_SINCE: ABI = ABI::V6;

/// Libraries, fonts and time zones.
const LIBRARIES: [&str; 8] =
    ["/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/ld.so.preload"];
/// The configuration of libraries: names of hosts, certificates, fonts, and what the kernel says of itself.
const CONFIGURATION: [&str; 20] = [
    "/proc",
    "/sys",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/gnutls",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/vulkan",
    "/etc/OpenCL",
    "/etc/glvnd",
];
/// Devices without data, and GPUs.
const DEVICES: [&str; 12] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/dri",
    "/dev/nvidia0",
    "/dev/nvidiactl",
    "/dev/nvidia-modeset",
    "/dev/nvidia-uvm",
    "/dev/nvidia-caps",
];

/// What the process may still do, beside using the system's libraries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Files and folders with all that is in them. One that does not exist yet cannot be read later either.
    pub read: BTreeSet<PathBuf>,
    /// Folders whose files may be read and executed.
    pub execute: BTreeSet<PathBuf>,
    /// Folders in which files may be made, changed and deleted, or single files.
    pub write: BTreeSet<PathBuf>,
    /// Folders in which empty folders may be deleted.
    pub tidy: BTreeSet<PathBuf>,
    /// Device files, or their folder.
    pub devices: BTreeSet<PathBuf>,
    /// TCP ports of other machines and of this one; `None` for all.
    pub connect: Option<BTreeSet<u16>>,
    /// TCP ports to listen on; 0 for one that the system chooses.
    pub listen: BTreeSet<u16>,
    /// Whether a window is shown: its server is reached by sockets without a path.
    pub window: bool,
}

/// What the kernel restricts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Support(LandlockStatus);

static IN_FORCE: OnceLock<Permissions> = OnceLock::new();

/// Takes away all rights but `permissions`. Call it before the first thread is started.
///
/// # Errors
/// If the kernel refuses, though it has Landlock. A kernel without it takes nothing away.
pub fn enter(permissions: Permissions) -> Result<Support, RulesetError> {
    let support = restrict(&permissions)?;
    if support.is_available() {
        let _ = IN_FORCE.set(permissions);
    }
    Ok(support)
}

/// Returns the permissions of this process; `None` without a sandbox.
pub fn in_force() -> Option<&'static Permissions> {
    IN_FORCE.get()
}

/// Returns whether the sandbox may be the reason of a failure with this cause.
pub fn may_deny(cause: &str) -> bool {
    in_force().is_some() && cause.contains("ermission denied")
}

/// Asks the kernel what it can restrict.
pub fn support() -> Support {
    // The thread gives up its rights, and ends.
    let probe = std::thread::spawn(|| restrict(&Permissions::default()));
    Support(probe.join().ok().and_then(Result::ok).map_or(LandlockStatus::NotImplemented, |support| support.0))
}

fn restrict(permissions: &Permissions) -> Result<Support, RulesetError> {
    let mut ruleset =
        Ruleset::default().handle_access(AccessFs::from_all(VERSION))?.handle_access(AccessNet::BindTcp)?;
    if permissions.connect.is_some() {
        ruleset = ruleset.handle_access(AccessNet::ConnectTcp)?;
    }
    ruleset = ruleset.scope(Scope::Signal)?;
    if !permissions.window {
        ruleset = ruleset.scope(Scope::AbstractUnixSocket)?;
    }
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer;
    let mut ruleset = ruleset.create()?;
    ruleset = allow(ruleset, LIBRARIES, read | AccessFs::Execute)?;
    ruleset = allow(ruleset, CONFIGURATION, read)?;
    ruleset = allow(ruleset, DEVICES, read | AccessFs::WriteFile | AccessFs::IoctlDev)?;
    ruleset = allow(ruleset, &permissions.execute, read | AccessFs::Execute)?;
    ruleset = allow(ruleset, &permissions.read, read)?;
    ruleset = allow(ruleset, &permissions.write, write)?;
    ruleset = allow(ruleset, &permissions.tidy, AccessFs::RemoveDir.into())?;
    ruleset = allow(ruleset, &permissions.devices, read | AccessFs::WriteFile | AccessFs::IoctlDev)?;
    for &port in permissions.connect.iter().flatten() {
        ruleset = ruleset.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
    }
    for &port in &permissions.listen {
        ruleset = ruleset.add_rule(NetPort::new(port, AccessNet::BindTcp))?;
    }
    Ok(Support(ruleset.restrict_self()?.landlock))
}

/// Allows `access` to all `paths` that exist.
fn allow<P: AsRef<Path>>(
    mut ruleset: RulesetCreated,
    paths: impl IntoIterator<Item = P>,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    for path in paths {
        // A link that leads to a pipe, as /dev/stdout may, has no such path. An open pipe needs no rule.
        let Ok(path) = path.as_ref().canonicalize() else { continue };
        let Ok(file) = PathFd::new(&path) else { continue };
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(VERSION) };
        ruleset = ruleset.add_rule(PathBeneath::new(file, access))?;
    }
    Ok(ruleset)
}

impl Permissions {
    /// Returns, in words, the first thing that these allow and `other` do not.
    pub fn beyond(&self, other: &Self) -> Option<String> {
        let missing = |paths: &BTreeSet<PathBuf>, allowed: &[&BTreeSet<PathBuf>]| {
            let within =
                |path: &Path| allowed.iter().copied().flatten().any(|folder| path.starts_with(absolute(folder)));
            paths.iter().map(|path| absolute(path)).find(|path| !within(path))
        };
        let read = missing(&self.read, &[&other.read, &other.execute, &other.write]);
        let write = missing(&self.write, &[&other.write]);
        let devices = missing(&self.devices, &[&other.devices]);
        let files = [(read, "reading"), (write, "writing to"), (devices, "using")];
        let file = files.into_iter().find_map(|(path, what)| Some(format!("{what} {}", path?.display())));
        file.or_else(|| match (&self.connect, &other.connect) {
            (_, None) => None,
            (None, Some(_)) => Some("connecting to any port".into()),
            (Some(own), Some(allowed)) => {
                own.difference(allowed).next().map(|port| format!("connecting to port {port}"))
            }
        })
    }
}

/// Returns a path without links, as far as it exists.
fn absolute(path: &Path) -> PathBuf {
    let found = path.ancestors().find_map(|existing| Some((existing, existing.canonicalize().ok()?)));
    let here = || std::env::current_dir().unwrap_or_default().join(path);
    match found {
        Some((existing, real)) => real.join(path.strip_prefix(existing).unwrap_or(path)).components().collect(),
        None => here(),
    }
}

impl Support {
    fn version(self) -> Option<ABI> {
        match self.0 {
            LandlockStatus::Available { effective_abi, .. } => Some(effective_abi),
            LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => None,
        }
    }

    pub fn is_available(self) -> bool {
        self.version().is_some()
    }
}

/// Says what is restricted.
impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(version) = self.version() else {
            return f.write_str(match self.0 {
                LandlockStatus::NotEnabled => {
                    "none: Landlock is not enabled in this kernel (boot option lsm=landlock,…)"
                }
                _ => "none: this kernel has no Landlock (Linux 5.13 and later)",
            });
        };
        let parts = [(PORTS_SINCE, "TCP ports"), (DEVICES_SINCE, "devices"), (SIGNALS_SINCE, "signals")];
        let (known, unknown): (Vec<_>, Vec<_>) = parts.into_iter().partition(|(since, _)| version >= *since);
        let list = |parts: &[(ABI, &str)]| parts.iter().map(|(_, what)| *what).collect::<Vec<_>>().join(", ");
        write!(f, "files{}{}", if known.is_empty() { "" } else { ", " }, list(&known))?;
        if !unknown.is_empty() {
            write!(f, "; this kernel is too old for {}", list(&unknown))?;
        }
        write!(f, " (Landlock {})", version as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[&str]) -> BTreeSet<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn what_is_beyond_is_named() {
        let in_force = Permissions {
            read: paths(&["/srv/clips"]),
            write: paths(&["/srv/out"]),
            connect: Some([554].into()),
            ..Permissions::default()
        };
        let beyond = |permissions: Permissions| permissions.beyond(&in_force);
        let connect = |ports: &[u16]| Some(ports.iter().copied().collect::<BTreeSet<_>>());
        let none = Permissions { connect: connect(&[]), ..Permissions::default() };
        assert_eq!(beyond(none.clone()), None);
        assert_eq!(beyond(in_force.clone()), None);
        assert_eq!(beyond(Permissions { read: paths(&["/srv/clips/a.mp4", "/srv/out/b"]), ..none.clone() }), None);
        let read = Permissions { read: paths(&["/srv/clips-2/a.mp4"]), ..none.clone() };
        assert_eq!(beyond(read).unwrap(), "reading /srv/clips-2/a.mp4");
        let write = Permissions { write: paths(&["/srv/clips"]), ..none.clone() };
        assert_eq!(beyond(write).unwrap(), "writing to /srv/clips");
        assert_eq!(
            beyond(Permissions { connect: connect(&[554, 8554]), ..none.clone() }).unwrap(),
            "connecting to port 8554"
        );
        assert_eq!(beyond(Permissions { connect: None, ..none }).unwrap(), "connecting to any port");
    }

    #[test]
    fn support_is_told_in_words() {
        let of = |effective_abi| Support(LandlockStatus::Available { effective_abi, kernel_abi: None }).to_string();
        assert_eq!(of(ABI::V7), "files, TCP ports, devices, signals (Landlock 7)");
        assert_eq!(of(ABI::V4), "files, TCP ports; this kernel is too old for devices, signals (Landlock 4)");
        assert_eq!(of(ABI::V1), "files; this kernel is too old for TCP ports, devices, signals (Landlock 1)");
        assert!(Support(LandlockStatus::NotImplemented).to_string().starts_with("none: "));
    }

    #[test]
    fn a_thread_loses_what_it_does_not_need() {
        if !support().is_available() {
            eprintln!("skipped: this kernel has no Landlock");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["in", "out", "other"] {
            std::fs::create_dir(at(name)).unwrap();
            std::fs::write(at(name).join("file"), name).unwrap();
        }
        let permissions = Permissions { read: [at("in")].into(), write: [at("out")].into(), ..Permissions::default() };
        let denied = |result: std::io::Result<()>| result.unwrap_err().kind() == std::io::ErrorKind::PermissionDenied;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                restrict(&permissions).unwrap();
                let read = |name: &str| std::fs::read_to_string(at(name).join("file"));
                let write = |name: &str| std::fs::write(at(name).join("new"), "new");
                assert_eq!([read("in").unwrap(), read("out").unwrap()], ["in", "out"]);
                assert!(denied(read("other").map(drop)) && denied(std::fs::read("/etc/passwd").map(drop)));
                write("out").unwrap();
                std::fs::rename(at("out").join("new"), at("out").join("renamed")).unwrap();
                assert!(denied(write("in")) && denied(write("other")));
                // A thread of this one has no more rights.
                std::thread::scope(|scope| scope.spawn(|| assert!(denied(write("other")))).join().unwrap());
            });
        });
        assert!(at("out").join("renamed").exists() && std::fs::read("/etc/passwd").is_ok());
    }
}

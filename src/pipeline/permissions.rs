//! What a run may do in its sandbox: the files, devices and TCP ports that its configuration names.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::cameras::RecordingConfig;
use crate::config::events::JsonLines;
use crate::config::nats::{NatsAccess, NatsConfig};
use crate::inference::cache;
use crate::inference::model::Model;
use crate::rtsp::relay;
use crate::system::folders;
use crate::system::locate;
use crate::system::made_folders::MadeFolders;
use crate::system::sandbox::Permissions;

/// Variables that name folders of libraries, like `PATH`.
const LIBRARY_PATHS: [&str; 4] =
    ["LD_LIBRARY_PATH", "GST_PLUGIN_PATH", "GST_PLUGIN_PATH_1_0", "GST_PLUGIN_SYSTEM_PATH_1_0"];
/// Variables that name a file of code, of certificates, and one that GStreamer writes.
const LIBRARY_FILES: [&str; 2] = ["ORT_DYLIB_PATH", "GST_PLUGIN_SCANNER"];
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
const WRITTEN: [&str; 4] = ["GST_REGISTRY", "GST_REGISTRY_1_0", "GST_DEBUG_FILE", "GST_DEBUG_DUMP_DOT_DIR"];
/// Variables that name a proxy, at any port.
const PROXIES: [&str; 6] = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
/// The ports of RTSP, with and without TLS, and of web servers: those of the cameras that a reload may add.
const CAMERAS: [u16; 5] = [554, 322, 8554, 80, 443];
/// The permissions of a new folder: for its owner, or as the user's mask says.
const PRIVATE: u32 = 0o700;
const DEFAULT: u32 = 0o777;
const DNS: u16 = 53;
/// Where web servers redirect to.
const WEB: [u16; 2] = [80, 443];

/// Returns what a run with `config` needs. Folders that it writes to may not exist yet. From then on the relays of RTSP cameras share
/// a port, if the run may have any.
pub fn permissions(config: &Config) -> Permissions {
    let mut permissions = Permissions { connect: connect(config), window: config.display, ..Permissions::default() };
    permissions.execute = libraries();
    permissions.read = read(config);
    permissions.write = caches().chain(written(config)).collect();
    let cameras = || config.jobs.iter().filter_map(|job| job.live.as_ref()).map(|live| &live.camera);
    if cameras().any(|camera| camera.is_device()) {
        // A camera that is plugged in again is another file.
        permissions.devices.insert("/dev".into());
    }
    permissions.listen.extend(config.web.as_ref().map(|web| web.address.port()));
    // A reload may add the first camera.
    if config.origin.is_some() || cameras().any(|camera| camera.is_rtsp()) {
        // The clients of cameras connect to it; the relay listens on it.
        if let Ok(port) = relay::share_port() {
            permissions.listen.insert(port);
            permissions.connect.iter_mut().for_each(|ports| ports.extend([port]));
        }
    }
    if permissions.window {
        allow_window(&mut permissions);
    }
    permissions
}

/// Makes the folders that a run writes to, since rights are for what exists. One that cannot be made is reported when it is used.
pub fn make_folders(config: &Config, permissions: &mut Permissions) -> MadeFolders {
    let mut made = MadeFolders::default();
    if let Some(learning) = &config.learning {
        made.make(&learning.folder, PRIVATE);
    }
    permissions.write.iter().for_each(|folder| made.make(folder, DEFAULT));
    permissions.tidy.extend(made.parents());
    made
}

/// The files of a worker in a cluster.
pub struct WorkerFiles<'a> {
    /// Where results are.
    pub output: &'a Path,
    /// Folders that clips may be in, and whether they may be elsewhere.
    pub inputs: &'a [PathBuf],
    pub limited: bool,
    pub model: Option<&'a Path>,
    pub nats: &'a NatsConfig,
    /// Files with passwords, which the process of a camera reads too.
    pub secrets: Vec<PathBuf>,
    /// The port of the page, and the files of its certificate.
    pub page: Option<u16>,
    pub certificate: Vec<PathBuf>,
}

/// Returns what a worker needs, and makes the folder of its results. It connects to any server that the cluster names.
pub fn of_worker(files: &WorkerFiles) -> (Permissions, MadeFolders) {
    let WorkerFiles { output, inputs, limited, model, nats, secrets, page, certificate } = files;
    let mut read: BTreeSet<PathBuf> = inputs.iter().cloned().collect();
    if !limited {
        read.insert("/".into());
    }
    read.extend(model.map(Path::to_path_buf).or_else(|| Model::default_path().ok()).map(|model| folder(&model)));
    read.extend(trusted());
    read.extend(of_nats(nats).chain(replaceable(certificate)).chain(secrets.iter().cloned()));
    let mut made = MadeFolders::default();
    made.make(output, DEFAULT);
    let write = caches().chain([output.to_path_buf()]).collect();
    // Cameras are called through a relay, whose port the system chooses.
    let listen = page.iter().copied().chain([0]).collect();
    let permissions = Permissions { read, execute: libraries(), write, listen, ..Permissions::default() };
    (Permissions { connect: None, tidy: made.parents().collect(), ..permissions }, made)
}

/// Returns what the page of a cluster needs. The history of the cameras, if it is shown, is in `output`.
pub fn of_cluster_page(nats: &NatsConfig, port: u16, certificate: &[PathBuf], output: Option<&Path>) -> Permissions {
    Permissions {
        read: of_nats(nats).chain(replaceable(certificate)).chain(trusted()).collect(),
        execute: libraries(),
        // Who reads an index that is being written writes files beside it.
        write: caches().chain(output.map(Path::to_path_buf)).collect(),
        listen: [port].into(),
        connect: None,
        ..Permissions::default()
    }
}

/// Returns the certificates that the user trusts instead of the system's.
fn trusted() -> impl Iterator<Item = PathBuf> {
    CERTIFICATES.into_iter().filter_map(std::env::var_os).map(PathBuf::from)
}

/// Returns what is read to reach NATS servers.
fn of_nats(nats: &NatsConfig) -> impl Iterator<Item = PathBuf> {
    let credentials = match &nats.access {
        NatsAccess::File(file) => Some(folder(file)),
        _ => None,
    };
    nats.certificates.as_deref().map(folder).into_iter().chain(credentials).chain([name_servers()])
}

/// Returns the folders of files that may be replaced, and those that links lead to.
fn replaceable(files: &[PathBuf]) -> impl Iterator<Item = PathBuf> {
    files
        .iter()
        .flat_map(|file| std::iter::once(folder(file)).chain(file.canonicalize().ok().map(|real| folder(&real))))
}

/// Returns the folder of the file that names the servers which know addresses. The file may be replaced.
fn name_servers() -> PathBuf {
    let servers = Path::new("/etc/resolv.conf");
    servers.canonicalize().map_or_else(|_| folder(servers), |real| folder(&real))
}

/// Returns the folders of libraries and programs outside the system's.
fn libraries() -> BTreeSet<PathBuf> {
    let listed = LIBRARY_PATHS.into_iter().filter_map(std::env::var_os);
    let listed = listed.flat_map(|paths| std::env::split_paths(&paths).collect::<Vec<_>>());
    let files = LIBRARY_FILES.into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    // The trainer is beside the program, and a library may load others beside it.
    let program = std::env::current_exe().ok();
    let beside = files.chain(program).filter_map(|file| file.canonicalize().ok()?.parent().map(Path::to_path_buf));
    let all = locate::folders().into_iter().chain(listed).chain(beside);
    all.filter(|path| !path.as_os_str().is_empty()).collect()
}

fn read(config: &Config) -> BTreeSet<PathBuf> {
    let mut read: BTreeSet<PathBuf> = BTreeSet::new();
    for job in config.jobs.iter().filter(|job| job.live.is_none()) {
        read.insert(job.input.clone());
        // The parts that a playlist names are beside it.
        read.extend(job.limits.playlists.then(|| folder(&job.input)));
    }
    read.extend(config.pictures.iter().map(|picture| picture.input.clone()));
    // What lies beside a model belongs to it.
    read.extend(config.model.clone().or_else(|| Model::default_path().ok()).map(|model| folder(&model)));
    read.extend(trusted());
    // A file that is read again may have been replaced by another of its name. So may one that a link in its place leads to.
    if config.origin.is_some() || config.web.as_ref().is_some_and(|web| web.certificate.is_some()) {
        read.extend(replaceable(&config.read));
    }
    // So may the addresses of the servers that know the cameras' names.
    if needs_names(config) {
        read.insert(name_servers());
    }
    read
}

/// Returns the folders that the run writes to.
fn written(config: &Config) -> Vec<PathBuf> {
    let mut written: Vec<PathBuf> = Vec::new();
    for job in &config.jobs {
        match job.live.as_ref().map(|live| &live.recording) {
            Some(RecordingConfig { folder: recordings, file, .. }) => {
                written.push(folders::named(recordings).into());
                written.extend(file.as_deref().map(folder));
            }
            None => written.extend(job.outputs.all().map(folder)),
        }
    }
    let pictures = config.pictures.iter().flat_map(|picture| picture.outputs());
    written.extend(pictures.chain(config.files.all()).map(folder));
    if let Some(JsonLines::File(path)) = &config.events.lines {
        // A pipe is allowed by itself.
        written.push(if path.exists() && !path.is_file() { path.clone() } else { folder(path) });
    }
    written.extend(config.learning.as_ref().map(|learning| folders::named(&learning.folder).into()));
    written
}

/// Returns the places where the program and its libraries keep what they computed.
fn caches() -> impl Iterator<Item = PathBuf> {
    let plugins = locate::caches().map(|caches| caches.join("gstreamer-1.0"));
    let named = WRITTEN.into_iter().filter_map(std::env::var_os).map(|path| folder(Path::new(&path)));
    cache::root().into_iter().chain(plugins).chain(named)
}

/// Returns the TCP ports that the run connects to; `None` if any may be meant.
fn connect(config: &Config) -> Option<BTreeSet<u16>> {
    let mut ports = BTreeSet::new();
    let proxied = PROXIES.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let cameras = config.jobs.iter().filter_map(|job| Some((&job.live.as_ref()?.camera, job.limits.playlists)));
    for (camera, playlists) in cameras {
        let web = camera.is_http();
        if web && (playlists || proxied) {
            return None;
        }
        ports.extend(camera.endpoint().map(|(_, port)| port));
        ports.extend(WEB.into_iter().filter(|_| web));
    }
    if config.jobs.iter().any(|job| job.live.is_none() && job.limits.playlists)
        || (proxied && !config.events.webhooks.is_empty())
    {
        return None;
    }
    if config.origin.is_some() {
        ports.extend(CAMERAS);
    }
    ports.extend(config.events.broker.as_ref().map(|broker| broker.port));
    ports.extend(config.events.webhooks.iter().filter_map(|webhook| webhook.url.port_or_known_default()));
    if config.origin.is_some() || needs_names(config) {
        ports.insert(DNS);
    }
    Some(ports)
}

/// Returns whether the run asks for the address of a host.
fn needs_names(config: &Config) -> bool {
    let cameras = config.jobs.iter().filter_map(|job| Some(job.live.as_ref()?.camera.endpoint()?.0));
    let broker = config.events.broker.as_ref().map(|broker| broker.host.as_str());
    let webhooks = config.events.webhooks.iter().filter_map(|webhook| webhook.url.host_str());
    let is_name = |host: &str| host.trim_matches(['[', ']']).parse::<IpAddr>().is_err() && host != "localhost";
    cameras.chain(broker).chain(webhooks).any(is_name)
}

/// Allows what a window of X11 or Wayland needs.
fn allow_window(permissions: &mut Permissions) {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cookie = variable("XAUTHORITY").or_else(|| Some(variable("HOME")?.join(".Xauthority")));
    permissions.read.extend(cookie);
    permissions.write.extend(variable("XDG_RUNTIME_DIR"));
    permissions.write.insert("/dev/shm".into());
    permissions.read.insert("/tmp/.X11-unix".into());
}

/// Returns the folder that a file is in.
fn folder(file: &Path) -> PathBuf {
    folders::of(file).into()
}

//! From a spec to everything that a spawn needs: looked up and checked before the child exists.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libc::c_int;
use rustix::process::{Resource, getrlimit};
use stead_model::spec::{EnvValue, Limits, ProcessSpec};
use stead_model::{Bytes, SpawnFailure, SpawnFailureKind};

use crate::account::{self, Account};

/// What all spawns of this keeper begin with.
#[derive(Debug)]
pub(crate) struct Base {
    /// The environment that the keeper was started with, without what Stead itself set; also in the form of `execve`.
    env: BTreeMap<OsString, OsString>,
    given: Arc<BTreeMap<OsString, CString>>,
    /// Where the keeper was started.
    pub(crate) dir: PathBuf,
    /// The limit of open files before the keeper raised its own.
    pub(crate) open_files: (u64, u64),
}

/// A process ready to be started.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) program: CString,
    pub(crate) argv: Vec<CString>,
    /// What the keeper's environment is overlaid with.
    pub(crate) env: BTreeMap<OsString, OsString>,
    /// The keeper's.
    given: Arc<BTreeMap<OsString, CString>>,
    pub(crate) dir: CString,
    pub(crate) limits: Vec<(c_int, u64, u64)>,
    pub(crate) account: Option<Account>,
}

impl Base {
    /// Takes the environment, the directory and the limits of this process.
    pub(crate) fn take(dir: PathBuf, open_files: (u64, u64)) -> Self {
        let ours = |name: &OsString| name.as_bytes().starts_with(b"STEAD_") || name == "NOTIFY_SOCKET";
        let env: BTreeMap<_, _> = std::env::vars_os().filter(|(name, _)| !ours(name)).collect();
        // What was in an environment holds no zero byte.
        let given = env
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), variable(name, value).ok()?)));
        Self {
            given: Arc::new(given.collect()),
            env,
            dir,
            open_files,
        }
    }

    /// Looks everything up.
    pub(crate) fn prepare(&self, spec: &ProcessSpec) -> Result<Prepared, SpawnFailure> {
        let account = match &spec.user {
            Some(user) => Some(account::find(user).map_err(fails(SpawnFailureKind::User))?),
            None => None,
        };
        let mut env = BTreeMap::<OsString, OsString>::new();
        if let Some((name, home)) = account.as_ref().and_then(|account| account.name.as_ref()) {
            for (variable, value) in [("USER", name), ("LOGNAME", name), ("HOME", home)] {
                env.insert(variable.into(), value.into());
            }
        }
        for (name, value) in &spec.env {
            env.insert(name.into(), self.value(name, value)?);
        }
        let dir = self.directory(spec, account.as_ref())?;
        let path = OsStr::new("PATH");
        let path = env.get(path).or_else(|| self.env.get(path));
        let program = find_program(spec, &dir, path, account.as_ref())?;
        let argv = spec.command.iter().map(|word| c_string(word.as_ref(), "command"));
        Ok(Prepared {
            program: c_string(program.as_os_str(), "command")?,
            argv: argv.collect::<Result<_, _>>()?,
            env,
            given: Arc::clone(&self.given),
            dir: c_string(dir.as_os_str(), "dir")?,
            limits: self.limits(&spec.limits)?,
            account,
        })
    }

    fn value(&self, name: &str, value: &EnvValue) -> Result<OsString, SpawnFailure> {
        match value {
            EnvValue::Plain(text) | EnvValue::Secret { secret: text } => Ok(text.into()),
            EnvValue::File { file } => match fs::read(self.dir.join(file)) {
                Ok(mut bytes) => {
                    if bytes.last() == Some(&b'\n') {
                        bytes.pop();
                    }
                    Ok(OsString::from_vec(bytes))
                }
                Err(error) => Err(failure(
                    SpawnFailureKind::Setting,
                    format!("env.{name}: cannot read {file}: {error}"),
                )),
            },
        }
    }

    fn directory(&self, spec: &ProcessSpec, account: Option<&Account>) -> Result<PathBuf, SpawnFailure> {
        let dir = spec
            .dir
            .as_ref()
            .map_or_else(|| self.dir.clone(), |dir| self.dir.join(dir));
        let bad = |why: String| failure(SpawnFailureKind::Directory, format!("dir: {}: {why}", dir.display()));
        let meta = fs::metadata(&dir).map_err(|error| bad(error.to_string()))?;
        if !meta.is_dir() {
            return Err(bad(String::from("is no directory")));
        }
        if !may_execute(&meta, account) {
            return Err(bad(String::from("its user may not enter it")));
        }
        Ok(dir)
    }

    fn limits(&self, limits: &Limits) -> Result<Vec<(c_int, u64, u64)>, SpawnFailure> {
        let bytes = |limit: Option<Bytes>| limit.map(|size| size.0);
        let wanted = [
            (
                libc::RLIMIT_AS,
                Resource::As,
                bytes(limits.address_space),
                "address_space",
            ),
            (libc::RLIMIT_CPU, Resource::Cpu, limits.cpu_seconds, "cpu_seconds"),
            (libc::RLIMIT_NPROC, Resource::Nproc, limits.processes, "processes"),
            (libc::RLIMIT_CORE, Resource::Core, bytes(limits.core), "core"),
            (
                libc::RLIMIT_FSIZE,
                Resource::Fsize,
                bytes(limits.file_size),
                "file_size",
            ),
            (libc::RLIMIT_NOFILE, Resource::Nofile, limits.open_files, "open_files"),
        ];
        // The keeper raised its own limit of open files; its children get back what it was.
        let (soft, hard) = self.open_files;
        let mut set = match limits.open_files {
            None => vec![(resource_number(libc::RLIMIT_NOFILE), soft, hard)],
            Some(_) => Vec::new(),
        };
        for (number, resource, limit, name) in wanted {
            let Some(limit) = limit else { continue };
            let highest = getrlimit(resource).maximum;
            if highest.is_some_and(|highest| limit > highest) && !rustix::process::geteuid().is_root() {
                let most = highest.unwrap_or(u64::MAX);
                return Err(failure(
                    SpawnFailureKind::Setting,
                    format!("limits.{name}: {limit} is above the hard limit {most}"),
                ));
            }
            set.push((resource_number(number), limit, limit));
        }
        Ok(set)
    }
}

impl Prepared {
    /// What the keeper's environment is overlaid with, in the form of `execve`.
    pub(crate) fn overlay(&self) -> Result<Vec<CString>, SpawnFailure> {
        self.env.iter().map(|(name, value)| variable(name, value)).collect()
    }

    /// What of the keeper's environment is not overlaid, in the form of `execve`.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &CString> {
        let given = self.given.iter();
        given
            .filter(|(name, _)| !self.env.contains_key(*name))
            .map(|(_, variable)| variable)
    }
}

fn variable(name: &OsStr, value: &OsStr) -> Result<CString, SpawnFailure> {
    let mut variable = OsString::with_capacity(name.len() + 1 + value.len() + 1);
    variable.push(name);
    variable.push("=");
    variable.push(value);
    CString::new(variable.into_vec()).map_err(|_nul| zero_byte("env"))
}

/// A failure of a kind with its words.
pub(crate) fn failure(kind: SpawnFailureKind, detail: String) -> SpawnFailure {
    SpawnFailure { kind, detail }
}

fn fails(kind: SpawnFailureKind) -> impl FnOnce(String) -> SpawnFailure {
    move |detail| failure(kind, detail)
}

/// As `execvp` would find it, but within the working directory of the process that is to be.
fn find_program(
    spec: &ProcessSpec,
    dir: &Path,
    path: Option<&OsString>,
    account: Option<&Account>,
) -> Result<PathBuf, SpawnFailure> {
    let Some(name) = spec.command.first().filter(|name| !name.is_empty()) else {
        return Err(failure(SpawnFailureKind::NotFound, String::from("command: is empty")));
    };
    if name.contains('/') {
        let program = dir.join(name);
        return match check_program(&program, account) {
            Ok(()) => Ok(program),
            Err(error) => Err(program_failure(&error, format!("{}: {error}", program.display()))),
        };
    }
    let default = OsString::from(DEFAULT_PATH);
    let mut denied = None;
    for entry in std::env::split_paths(path.unwrap_or(&default)) {
        let program = dir.join(entry).join(name);
        match check_program(&program, account) {
            Ok(()) => return Ok(program),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = denied.or(Some(program)),
            Err(_absent) => {}
        }
    }
    Err(match denied {
        Some(program) => failure(
            SpawnFailureKind::NotExecutable,
            format!("{}: is not executable", program.display()),
        ),
        None => failure(
            SpawnFailureKind::NotFound,
            format!("`{name}` is in no directory of PATH"),
        ),
    })
}

fn check_program(path: &Path, account: Option<&Account>) -> io::Result<()> {
    let meta = fs::metadata(path)?;
    if meta.is_file() && may_execute(&meta, account) {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "is not executable"))
    }
}

fn program_failure(error: &io::Error, detail: String) -> SpawnFailure {
    let kind = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SpawnFailureKind::NotFound,
        _ => SpawnFailureKind::NotExecutable,
    };
    failure(kind, detail)
}

/// Whether the mode allows execution or search; access lists are left to the kernel, at the spawn.
fn may_execute(meta: &Metadata, account: Option<&Account>) -> bool {
    let uid = account.map_or_else(|| rustix::process::geteuid().as_raw(), |account| account.uid);
    let in_group = || match account {
        Some(account) => account.gid == meta.gid() || account.groups.contains(&meta.gid()),
        None => rustix::process::getegid().as_raw() == meta.gid() || keeper_groups().contains(&meta.gid()),
    };
    let mode = meta.mode();
    if uid == 0 {
        meta.is_dir() || mode & 0o111 != 0
    } else if uid == meta.uid() {
        mode & 0o100 != 0
    } else if in_group() {
        mode & 0o010 != 0
    } else {
        mode & 0o001 != 0
    }
}

fn keeper_groups() -> Vec<u32> {
    let groups = rustix::process::getgroups().unwrap_or_default();
    groups.into_iter().map(rustix::process::Gid::as_raw).collect()
}

fn c_string(text: &OsStr, what: &str) -> Result<CString, SpawnFailure> {
    CString::new(text.as_bytes()).map_err(|_nul| zero_byte(what))
}

fn zero_byte(what: &str) -> SpawnFailure {
    failure(
        SpawnFailureKind::Setting,
        format!("{what}: holds a zero byte, which no process can be given"),
    )
}

fn resource_number(resource: libc::__rlimit_resource_t) -> c_int {
    c_int::try_from(resource).unwrap_or(c_int::MAX)
}

const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

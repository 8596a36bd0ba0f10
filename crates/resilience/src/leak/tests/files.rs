//! The sampler, on files that look like the kernel's and on the kernel's own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::leak::{ProcSampler, Sample, Usage};

const STATUS: &str = "Name:\tagent\nVmRSS:\t    2048 kB\nThreads:\t7\n";
const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0\n\
   1: 0100007F:1F90 0100007F:8000 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0\n\
   2: 0100007F:1F90 0100007F:8001 01 00000000:00000000 00:00000000 00000000     0        0 99 1 0 100 0 0 10 0\n";

/// A folder with the files that a process of 2 MiB, 7 threads and 5 open files has.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "proc/self/status", STATUS);
    write(root.path(), "proc/self/net/tcp", TCP);
    write(
        root.path(),
        "proc/meminfo",
        "MemTotal:       1048576 kB\nMemFree: 1 kB\n",
    );
    write(
        root.path(),
        "proc/self/cgroup",
        "3:cpu,memory:/a/b\n2:cpu:/a\n0::/c/d\n",
    );
    fs::create_dir_all(root.path().join("proc/self/fd")).unwrap();
    // The last one is the folder that is being read.
    let targets = [
        "/dev/null",
        "socket:[11]",
        "socket:[12]",
        "socket:[13]",
        "pipe:[14]",
        "/proc/self/fd",
    ];
    for (number, target) in targets.iter().enumerate() {
        symlink(target, root.path().join("proc/self/fd").join(number.to_string())).unwrap();
    }
    root
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn sample(root: &Path) -> std::io::Result<Usage> {
    ProcSampler::below(root).sample()
}

#[test]
fn files_connections_and_threads_are_counted_and_listening_is_no_connection() {
    let root = root();
    let expected = Usage {
        memory: 2 << 20,
        memory_limit: 1 << 30,
        file_handles: 5,
        connections: 1,
        threads: 7,
    };
    assert_eq!(sample(root.path()).unwrap(), expected);
}

#[test]
fn the_lowest_limit_from_the_cgroup_upwards_counts_in_both_versions() {
    let root = root();
    let limit = |root: &Path| sample(root).unwrap().memory_limit;
    write(root.path(), "sys/fs/cgroup/c/memory.max", "max\n");
    assert_eq!(limit(root.path()), 1 << 30);
    write(root.path(), "sys/fs/cgroup/c/d/memory.max", "500000000\n");
    assert_eq!(limit(root.path()), 500_000_000);
    write(root.path(), "sys/fs/cgroup/c/memory.max", "400000000\n");
    assert_eq!(limit(root.path()), 400_000_000);
    // No limit is a very large number in version 1.
    write(
        root.path(),
        "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
        "9223372036854771712\n",
    );
    assert_eq!(limit(root.path()), 400_000_000);
    write(root.path(), "sys/fs/cgroup/memory/memory.limit_in_bytes", "300000000\n");
    assert_eq!(limit(root.path()), 300_000_000);
}

#[test]
fn what_is_missing_is_named() {
    let root = root();
    fs::remove_file(root.path().join("proc/self/cgroup")).unwrap();
    assert_eq!(sample(root.path()).unwrap().memory_limit, 1 << 30);
    write(root.path(), "proc/self/status", "VmRSS:\t1 kB\n");
    assert!(sample(root.path()).unwrap_err().to_string().contains("has no Threads"));
    write(root.path(), "proc/self/status", "Threads:\t1\n");
    assert!(sample(root.path()).unwrap_err().to_string().contains("has no VmRSS"));
    write(root.path(), "proc/self/status", STATUS);
    fs::remove_dir_all(root.path().join("proc/self/fd")).unwrap();
    assert!(sample(root.path()).unwrap_err().to_string().contains("proc/self/fd: "));
}

#[test]
fn this_process_is_sampled_as_it_is() {
    let mut sampler = ProcSampler::default();
    let before = sampler.sample().unwrap();
    assert!(before.memory > 1 << 20, "{before:?}");
    assert!(before.memory_limit > before.memory, "{before:?}");
    assert!(before.memory_ratio() > 0.0 && before.memory_ratio() < 1.0, "{before:?}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let pairs: Vec<_> = (0..25)
        .map(|_| (TcpStream::connect(address).unwrap(), listener.accept().unwrap()))
        .collect();
    let (end, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || wait.recv());
    let after = sampler.sample().unwrap();
    assert!(after.connections >= 50 && after.connections < 100, "{after:?}");
    assert!(after.file_handles >= 51, "{after:?}");
    assert!(after.threads >= 2, "{after:?}");
    drop(end);
    assert!(thread.join().unwrap().is_err());
    drop(pairs);
    assert!(sampler.sample().unwrap().connections < 50);
}

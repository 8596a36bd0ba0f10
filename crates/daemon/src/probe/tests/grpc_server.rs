//! The gRPC probe against the reference implementation of the health service, from its Python packages.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{BOUND, result_of};

#[tokio::test]
async fn the_reference_implementation_is_understood() {
    let dir = tempfile::tempdir().unwrap();
    let python = match install(dir.path()).await {
        Ok(python) => python,
        Err(why) => {
            println!("skipped: the health service of gRPC cannot be installed: {why}");
            return;
        }
    };
    let (mut server, port) = start(&python).await;
    for (service, result) in [
        (None, Ok(())),
        (Some("up"), Ok(())),
        (Some("down"), Err("NOT_SERVING".to_owned())),
        (Some("absent"), Err("service `absent` is not known there".to_owned())),
    ] {
        let probe = json!({ "grpc": { "port": port, "service": service }, "timeout_seconds": 20 });
        assert_eq!(result_of(probe).await, result, "{service:?}");
    }
    server.kill().await.unwrap();
}

/// Makes an environment with the packages; returns its interpreter.
async fn install(dir: &Path) -> Result<PathBuf, String> {
    let python = dir.join("bin/python");
    run(Command::new("python3").args(["-m", "venv"]).arg(dir)).await?;
    let packages = ["grpcio", "grpcio-health-checking"];
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:"])
        .args(packages))
    .await?;
    Ok(python)
}

async fn run(command: &mut Command) -> Result<(), String> {
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let done = timeout(INSTALL, running)
        .await
        .map_err(|_late| format!("not done in {INSTALL:?}"))?;
    let output = done.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

async fn start(python: &Path) -> (Child, u16) {
    let mut server = Command::new(python)
        .args(["-c", include_str!("health_server.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(server.stdout.take().unwrap());
    timeout(BOUND, stdout.read_line(&mut line))
        .await
        .expect("the server starts in time")
        .unwrap();
    (server, line.trim().parse().expect("a port"))
}

/// How long the installation may take.
const INSTALL: Duration = Duration::from_secs(180);

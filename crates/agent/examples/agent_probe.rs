//! Asks an agent in the same container whether it lives, and ends with 0 if it does: a health check for images without a shell.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    match lives() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn lives() -> std::io::Result<bool> {
    let port = std::env::var("STEAD_LIFECYCLE_PORT")
        .ok()
        .and_then(|port| port.parse().ok());
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port.unwrap_or(8080)))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET /health/live HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1) == Some("200"))
}

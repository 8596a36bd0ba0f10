//! Just enough of an HTTP client to ask a daemon on loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The status of a GET, and its body.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    // HTTP/1.0, so that the answer ends with the connection and never comes in chunks.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the answer has no end of its headers")?;
    let status = head.split(' ').nth(1).context("the answer has no status")?;
    Ok((status.parse()?, body.to_owned()))
}

/// All items of a list, page after page.
pub(crate) fn items(address: SocketAddr, path: &str) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut page = format!("{path}?limit=500");
    loop {
        let (status, body) = get(address, &page)?;
        ensure!(status == 200, "GET {page} was answered {status}: {body}");
        let mut answer: Value = serde_json::from_str(&body)?;
        if let Some(Value::Array(more)) = answer.get_mut("items").map(Value::take) {
            items.extend(more);
        }
        let Some(cursor) = answer.get("next_cursor").and_then(Value::as_str) else {
            return Ok(items);
        };
        page = format!("{path}?limit=500&cursor={cursor}");
    }
}

const PATIENCE: Duration = Duration::from_secs(5);

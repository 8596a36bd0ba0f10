//! Just enough of an HTTP client to ask a daemon on loopback.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
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

/// A connection that is kept for one request after the other.
pub(crate) struct Line {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    head: String,
    request: Vec<u8>,
    body: Vec<u8>,
}

impl Line {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::with_capacity(64 * 1024, stream),
            address,
            head: String::new(),
            request: Vec::new(),
            body: Vec::new(),
        })
    }

    /// Asks and reads the whole answer; gives its status.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<u16> {
        self.send(method, path, "application/json", body.as_bytes())
    }

    /// The same, with a body of any kind.
    pub(crate) fn send(&mut self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<u16> {
        self.head.clear();
        let (address, length) = (self.address, body.len());
        write!(
            self.head,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n"
        )?;
        if !body.is_empty() {
            write!(self.head, "Content-Type: {kind}\r\n")?;
        }
        self.head.push_str("\r\n");
        // One write, so that a small request is one packet.
        self.request.clear();
        self.request.extend_from_slice(self.head.as_bytes());
        self.request.extend_from_slice(body);
        self.stream.get_mut().write_all(&self.request)?;
        let (mut status, mut length) = (None, 0);
        loop {
            self.head.clear();
            ensure!(self.stream.read_line(&mut self.head)? > 0, "the connection was closed");
            let line = self.head.trim_end();
            if line.is_empty() {
                break;
            }
            if status.is_none() {
                status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
            } else if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        status.context("the answer has no status")
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

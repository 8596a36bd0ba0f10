//! Connects to an agent.

use std::net::{IpAddr, Ipv4Addr};

use tokio::net::TcpStream;

use super::attempt::Fault;

/// Connects to `port` of `host`, by default of this machine. A connection that is accepted is enough for a probe.
pub(super) async fn connect(host: Option<&str>, port: u16) -> Result<TcpStream, Fault> {
    let connected = match host.map(|host| (host, bare(host).parse::<IpAddr>())) {
        None => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await,
        Some((_, Ok(address))) => TcpStream::connect((address, port)).await,
        Some((name, Err(_no_address))) => TcpStream::connect((name, port)).await,
    };
    connected.map_err(|error| Fault::of(&error, ""))
}

/// A host as it is written in a URL.
pub(super) fn in_url(host: Option<&str>) -> String {
    let host = host.unwrap_or("127.0.0.1");
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// An IPv6 address without the brackets of a URL.
fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

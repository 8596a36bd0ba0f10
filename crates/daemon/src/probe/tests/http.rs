//! What the HTTP and TCP probes see.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::web::{Web, status};
use super::{Rig, closed, result_of, silent};

#[tokio::test(start_paused = true)]
async fn statuses_from_200_to_399_succeed_and_others_are_named() {
    for (code, result) in [
        (200, Ok(())),
        (204, Ok(())),
        (304, Ok(())),
        (399, Ok(())),
        (400, Err("HTTP 400".to_owned())),
        (404, Err("HTTP 404".to_owned())),
        (503, Err("HTTP 503".to_owned())),
    ] {
        let web = Web::answering(move |_| status(code, "")).await;
        assert_eq!(
            result_of(json!({ "httpGet": { "port": web.port } })).await,
            result,
            "{code}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_carries_its_path_its_headers_and_who_asks_and_closes_its_connection() {
    let web = Web::statuses(&[200]).await;
    let headers = json!({ "X-Probe": "yes", "Accept": "text/plain" });
    let probe = json!({ "http_get": { "port": web.port, "path": "/live?full=1", "http_headers": headers } });
    assert_eq!(result_of(probe).await, Ok(()));
    let head = web.heads().remove(0).to_lowercase();
    let mut lines: Vec<&str> = head.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.remove(0), "get /live?full=1 http/1.1");
    lines.sort_unstable();
    let (host, agent) = (
        format!("host: 127.0.0.1:{}", web.port),
        concat!("user-agent: stead-probe/", env!("CARGO_PKG_VERSION")),
    );
    assert_eq!(
        lines,
        ["accept: text/plain", "connection: close", &host, agent, "x-probe: yes"]
    );
}

#[tokio::test(start_paused = true)]
async fn headers_of_the_spec_take_the_place_of_those_that_are_always_sent() {
    let web = Web::statuses(&[200]).await;
    let headers = json!({ "Host": "agent.test", "User-Agent": "me" });
    assert_eq!(
        result_of(json!({ "http_get": { "port": web.port, "http_headers": headers } })).await,
        Ok(())
    );
    let head = web.heads().remove(0);
    assert!(
        head.contains("host: agent.test\r\n") && head.contains("user-agent: me\r\n"),
        "{head}"
    );
    assert_eq!(
        head.matches("host:").count() + head.matches("user-agent:").count(),
        2,
        "{head}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_header_or_path_that_cannot_be_sent_is_named() {
    let (_open, port) = silent().await;
    let probe = json!({ "http_get": { "port": port, "http_headers": { "no good": "x" } } });
    assert_eq!(
        result_of(probe).await,
        Err("header `no good` cannot be sent".to_owned())
    );
    let probe = json!({ "http_get": { "port": port, "path": "/no good" } });
    assert_eq!(
        result_of(probe).await,
        Err("path `/no good` cannot be asked for".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_redirect_within_the_host_is_followed_to_its_end() {
    let web = Web::answering(|n| {
        if n == 0 {
            status(302, "location: /real\r\n")
        } else {
            status(503, "")
        }
    })
    .await;
    assert_eq!(
        result_of(json!({ "http_get": { "port": web.port } })).await,
        Err("HTTP 503".to_owned())
    );
    assert!(web.heads()[1].starts_with("GET /real HTTP/1.1\r\n"));
}

#[tokio::test(start_paused = true)]
async fn a_redirect_to_another_host_is_a_success_and_nobody_there_is_asked() {
    let web = Web::answering(|_| status(302, "location: http://192.0.2.1/elsewhere\r\n")).await;
    assert_eq!(result_of(json!({ "http_get": { "port": web.port } })).await, Ok(()));
    assert_eq!(web.heads().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn redirects_without_end_are_a_failure() {
    let web = Web::answering(|_| status(307, "location: /again\r\n")).await;
    assert_eq!(
        result_of(json!({ "http_get": { "port": web.port } })).await,
        Err("more than 10 redirects".to_owned())
    );
    assert_eq!(web.heads().len(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_long_body_is_not_read_to_its_end() {
    let web = Web::answering(|_| {
        let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n".to_vec();
        answer.resize(64 * 1024, b'x');
        answer
    })
    .await;
    assert_eq!(result_of(json!({ "http_get": { "port": web.port } })).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_cut_off_or_no_http_is_said_to_be_so() {
    let cut = "connection closed before the answer was complete";
    for (answer, seen) in [
        ("", cut),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", cut),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", "the answer is no HTTP"),
    ] {
        let web = Web::answering(move |_| answer.as_bytes().to_vec()).await;
        assert_eq!(
            result_of(json!({ "http_get": { "port": web.port } })).await,
            Err(seen.to_owned()),
            "{answer}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_counts_as_no_answer() {
    let (listener, port) = silent().await;
    let stalled = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
            .await
            .unwrap();
        std::future::pending::<()>().await;
    });
    assert_eq!(
        result_of(json!({ "http_get": { "port": port } })).await,
        Err("no answer within 1s".to_owned())
    );
    stalled.abort();
}

#[tokio::test(start_paused = true)]
async fn a_silent_target_fails_after_the_timeout_and_a_closed_one_at_once() {
    let (_open, port) = silent().await;
    let mut rig = Rig::new();
    rig.watch(
        1,
        json!({ "liveness": { "http_get": { "port": port }, "timeoutSeconds": 2.5 } }),
    );
    let seen = rig.next().await;
    assert_eq!(seen.result, Err("no answer within 2s 500ms".to_owned()));
    assert!(seen.after >= Duration::from_millis(2500));
    let (_socket, port) = closed();
    for probe in [
        json!({ "http_get": { "port": port } }),
        json!({ "tcp_socket": { "port": port } }),
    ] {
        assert_eq!(result_of(probe).await, Err("connection refused".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_accepted_connection_is_enough_for_a_tcp_probe() {
    let (_open, port) = silent().await;
    assert_eq!(result_of(json!({ "tcpSocket": { "port": port } })).await, Ok(()));
    assert_eq!(
        result_of(json!({ "tcpSocket": { "port": port, "host": "[::ffff:127.0.0.1]" } })).await,
        Ok(())
    );
}

#[tokio::test]
async fn a_host_may_be_a_name() {
    let (_open, port) = silent().await;
    assert_eq!(
        result_of(json!({ "tcpSocket": { "port": port, "host": "localhost" } })).await,
        Ok(())
    );
}

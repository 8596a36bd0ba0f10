//! A small web server that answers as it is told.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Ends when dropped.
pub(super) struct Web {
    pub(super) port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Web {
    /// Answers the n-th request (from 0) by what `answer` makes of n; an empty answer closes the connection.
    pub(super) async fn answering(answer: impl Fn(usize) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&heads);
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let head = head(&mut stream).await;
                let count = {
                    let mut heads = kept.lock().unwrap();
                    heads.push(head);
                    heads.len()
                };
                // The prober may have gone before it read everything.
                let _gone = stream.write_all(&answer(count - 1)).await;
                let _gone = stream.shutdown().await;
                // A connection closed with something unread is a reset one.
                let _gone = stream.read_to_end(&mut Vec::new()).await;
            }
        });
        Self { port, heads, serving }
    }

    /// Answers every request by a status; those past the last get the last.
    pub(super) async fn statuses(statuses: &'static [u16]) -> Self {
        Self::answering(|n| status(statuses[n.min(statuses.len() - 1)], "")).await
    }

    /// The heads of the requests so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An answer without a body; `headers` each end in a line break.
pub(super) fn status(code: u16, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {code} X\r\ncontent-length: 0\r\n{headers}\r\n").into_bytes()
}

async fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_closed) => break,
        }
    }
    String::from_utf8(bytes).expect("a head of text")
}

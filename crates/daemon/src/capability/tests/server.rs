//! A real HTTP server on loopback that answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What it does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// Answers with a status, further header lines, and a body.
    Status(u16, &'static str, String),
    /// Reads it and never answers.
    Hang,
    /// Reads half of it and closes the connection.
    Reset,
}

impl Say {
    pub(crate) fn status(status: u16) -> Self {
        Self::Status(status, "", format!(r#"{{"said":{status}}}"#))
    }

    pub(crate) fn come_back(status: u16, header: &'static str) -> Self {
        Self::Status(status, header, String::new())
    }
}

/// It, running until it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    script: Arc<Mutex<VecDeque<Say>>>,
    seen: watch::Receiver<Vec<String>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Answers as the script says, one request after the other, and 200 once it is at its end.
    pub(crate) async fn new(script: impl IntoIterator<Item = Say>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::new(Mutex::new(script.into_iter().collect()));
        let (tell, seen) = watch::channel(Vec::new());
        let tell = Arc::new(tell);
        let said = Arc::clone(&script);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (said, tell) = (Arc::clone(&said), Arc::clone(&tell));
                tokio::spawn(async move { serve(stream, &said, &tell).await });
            }
        });
        Self {
            port,
            script,
            seen,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1/do?key=hunter2", self.port)
    }

    /// What it does with the next requests.
    pub(crate) fn then(&self, script: impl IntoIterator<Item = Say>) {
        self.script.lock().unwrap().extend(script);
    }

    /// The requests so far, each as it came.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.borrow().clone()
    }

    /// Waits until so many requests have come.
    pub(crate) async fn until_asked(&mut self, times: usize) {
        let asked = self.seen.wait_for(|seen| seen.len() >= times);
        let waited = tokio::time::timeout(Duration::from_secs(60), asked).await;
        assert!(waited.is_ok_and(|seen| seen.is_ok()), "nobody asks");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, script: &Mutex<VecDeque<Say>>, seen: &watch::Sender<Vec<String>>) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&piece[..count]),
        }
    }
    let say = script.lock().unwrap().pop_front().unwrap_or_else(|| Say::status(200));
    seen.send_modify(|seen| seen.push(String::from_utf8_lossy(&request).into_owned()));
    match say {
        Say::Status(status, headers, body) => {
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
            );
            let _gone = stream.write_all(answer.as_bytes()).await;
        }
        Say::Hang => {
            // Until the other side gives up.
            let _closed = stream.read(&mut piece).await;
        }
        Say::Reset => drop(
            stream
                .write_all(b"HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\nhalf")
                .await,
        ),
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// A port on which nobody listens: it was bound a moment ago, and is not given away again so soon.
pub(crate) async fn nobody() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

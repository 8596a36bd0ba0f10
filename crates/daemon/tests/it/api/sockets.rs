use std::time::Duration;

use stead_daemon::serve;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::world::World;

#[tokio::test]
async fn serving_ends_with_its_streams_and_takes_no_more() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = tokio::spawn(serve(listener, world.router.clone(), world.closing.clone()));
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream
        .write_all(b"GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut read = vec![0; 4096];
    let mut head = String::new();
    while !head.contains(": stead") {
        let count = timeout(Duration::from_secs(10), stream.read(&mut read))
            .await
            .unwrap()
            .unwrap();
        assert_ne!(count, 0, "{head}");
        head.push_str(std::str::from_utf8(&read[..count]).unwrap());
    }
    assert!(
        head.starts_with("HTTP/1.1 200 OK") && head.contains("text/event-stream"),
        "{head}"
    );
    world.closing.cancel();
    // The stream ends properly, with its last chunk.
    let mut rest = Vec::new();
    timeout(Duration::from_secs(60), stream.read_to_end(&mut rest))
        .await
        .expect("an end in time")
        .unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
    timeout(Duration::from_secs(60), serving)
        .await
        .expect("an end in time")
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(addr).await.is_err());
}

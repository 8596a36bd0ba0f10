//! What a fleet can do, asked through the real binary.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::fleet::Fleet;

/// Answers every request on a port of loopback, until the test's process ends.
fn provider(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut piece = [0; 1024];
            while !request.ends_with(b"}") {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => request.extend_from_slice(&piece[..count]),
                }
            }
            let length = answer.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
            let _gone = stream.write_all(format!("{head}{answer}").as_bytes());
        }
    });
    port
}

#[test]
fn a_capability_is_asked_falls_through_and_has_its_circuit_turned_by_hand() {
    let small = provider(r#"{"said":"small"}"#);
    let mut fleet = Fleet::of(&format!(
        "[components.model]\ndriver = 'none'\n\
         [capabilities.do]\nparameters = {{ type = 'object', required = ['text'] }}\n\
         [[capabilities.do.providers]]\nname = 'large'\nurl = 'http://127.0.0.1:1/'\nagent = 'model'\n\
         [[capabilities.do.providers]]\nname = 'small'\nlevel = 'fallback'\nurl = 'http://127.0.0.1:{small}/'\n"
    ));
    fleet.up();
    fleet.until("the capability is in force", |fleet| {
        (fleet.get("/api/v1/capabilities/do").status == 200).then_some(())
    });
    let answer = fleet.must(&["invoke", "do", "--data", r#"{"text":"x"}"#]);
    assert!(answer.contains(r#""said": "small""#), "{answer}");
    let shown = fleet.must(&["capabilities"]);
    assert!(shown.contains("large") && shown.contains("model is "), "{shown}");

    let mismatch = fleet.run(&["invoke", "do"]);
    assert_eq!(mismatch.status.code(), Some(5), "{mismatch:?}");

    fleet.must(&["circuits", "force-open", "do/small", "--reason", "a drill"]);
    let nobody = fleet.run(&["invoke", "do", "--data", r#"{"text":"x"}"#]);
    assert_eq!(nobody.status.code(), Some(7), "{nobody:?}");
    let told = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(
        told.contains("small (fallback): circuit do/small was opened by hand"),
        "{told}"
    );
    assert!(told.contains("large (primary): model is "), "{told}");
    let audit = fleet.must(&["audit", "--verb", "force-open"]);
    assert!(audit.contains("a drill") && audit.contains("do/small"), "{audit}");
    assert!(fleet.must(&["circuits", "reset", "do/small"]).contains("closed"));
    fleet.must(&["invoke", "do", "--data", r#"{"text":"x"}"#]);
}

use super::*;

fn frame(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes).unwrap();
    bytes
}

#[test]
fn frames_come_whole_however_they_are_cut() {
    let bytes = [frame(&"one"), frame(&[2, 3])].concat();
    let mut inbox = Inbox::default();
    let mut frames = Vec::new();
    for byte in bytes {
        inbox.extend(&[byte]);
        frames.extend(inbox.take_frame().unwrap());
    }
    assert_eq!(frames, [b"\"one\"".to_vec(), b"[2,3]".to_vec()]);
}

#[test]
fn a_frame_that_announces_too_much_is_refused_before_it_comes() {
    let mut inbox = Inbox::default();
    inbox.extend(&u32::MAX.to_le_bytes());
    assert!(inbox.take_frame().is_err());
}

#[test]
fn what_is_too_long_is_not_sent() {
    let mut out = vec![7];
    assert!(encode(&"x".repeat(MAX_FRAME), &mut out).is_err());
    assert_eq!(out, [7]);
}

/// Frames as version 2 writes them. Both neighbours must go on reading them.
#[test]
fn frames_of_the_version_before_keep_their_form() {
    let hello = Asked {
        id: 1,
        request: Request::Hello {
            version: 2,
            oldest: 1,
            epoch: Epoch(4),
        },
    };
    let text = r#"{"id":1,"request":{"hello":{"version":2,"oldest":1,"epoch":4}}}"#;
    assert_eq!(serde_json::to_string(&hello).unwrap(), text);
    assert_eq!(serde_json::from_str::<Asked>(text).unwrap(), hello);

    let text = r#"{"event":{"exited":{"instance":{"agent":"agt_0000000000007","incarnation":3},"exit":{"kind":"code","code":3},"swept":1,"at":"2026-01-01T00:00:00.000Z"}}}"#;
    let told: Told = serde_json::from_str(text).unwrap();
    assert!(matches!(told, Told::Event(Event::Exited { end, .. }) if end.swept == 1));
    assert_eq!(serde_json::to_string(&told).unwrap(), text);
}

#[test]
fn fields_and_codes_of_a_later_version_do_no_harm() {
    let text = r#"{"reply":{"to":7,"reply":{"refused":{"code":"too_hot","detail":"x","since":3}}}}"#;
    let told: Told = serde_json::from_str(text).unwrap();
    let code = Refusal::Other;
    let detail = String::from("x");
    assert_eq!(
        told,
        Told::Reply {
            to: 7,
            reply: Reply::Refused {
                code,
                detail,
                newest: None
            }
        }
    );
}

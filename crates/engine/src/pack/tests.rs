use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn packed(it: &impl Pack) -> Vec<u8> {
    let mut bytes = Vec::new();
    it.pack(&mut bytes);
    bytes
}

fn comes_back<T: Pack + PartialEq>(it: &T) -> bool {
    let bytes = packed(it);
    let mut from = Reader::new(&bytes);
    from.read::<T>().as_ref() == Some(it) && from.is_done()
}

proptest! {
    #[test]
    fn whatever_is_packed_is_read_back_as_it_was(
        natural: u64,
        whole: i64,
        texts: Vec<String>,
        labels: BTreeMap<String, String>,
        moment: Option<u64>,
        millis: i64,
    ) {
        prop_assert!(comes_back(&natural) && comes_back(&whole) && comes_back(&texts) && comes_back(&labels));
        prop_assert!(comes_back(&moment.map(|nanos| Moment::at(Duration::from_nanos(nanos)))));
        prop_assert!(comes_back(&Wall::from_unix_millis(millis)) && comes_back(&AgentId::from_bits(natural)));
    }

    #[test]
    fn bytes_that_were_cut_are_nothing(texts in prop::collection::vec("[a-z]{1,9}", 1..4)) {
        let bytes = packed(&texts);
        for cut in 0..bytes.len() {
            prop_assert_eq!(Reader::new(&bytes[..cut]).read::<Vec<String>>(), None);
        }
    }
}

#[test]
fn what_most_agents_say_takes_two_bytes() {
    for text in FREQUENT {
        let text = String::from(*text);
        assert!(comes_back(&text));
        assert_eq!(packed(&text).len(), 2);
    }
    assert_eq!(Reader::new(&[0, 200]).read::<String>(), None, "not one of them");
}

#[test]
fn what_is_near_nought_takes_one_byte() {
    for number in [0_i64, 1, -1, 63, -64] {
        assert_eq!(packed(&number).len(), 1, "{number}");
    }
    assert_eq!(packed(&127_u64).len(), 1);
    assert_eq!(packed(&None::<String>).len(), 1);
}

#[test]
fn a_cause_of_hexadecimal_digits_takes_half_and_every_other_comes_back_too() {
    for (text, most) in [
        ("01a2028b9f2d75e8be085c4e0a76ce53", 17),
        ("00000000000000000000000000000000", 17),
        ("01A2028B9F2D75E8BE085C4E0A76CE53", 34),
        ("+1a2028b9f2d75e8be085c4e0a76ce53", 34),
        ("c-7-1-12", 10),
        ("", 2),
    ] {
        let mut bytes = Vec::new();
        put_cause(text, &mut bytes);
        let mut from = Reader::new(&bytes);
        assert_eq!((from.cause().as_deref(), from.is_done()), (Some(text), true));
        assert!(bytes.len() <= most, "{text}: {}", bytes.len());
    }
}

//! The seeds hold what is asserted of whatever comes in.

use std::path::Path;

fn replay(door: &str, hold: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(door);
    let mut tried = 0;
    for seed in std::fs::read_dir(&seeds).unwrap() {
        hold(&std::fs::read(seed.unwrap().path()).unwrap());
        tried += 1;
    }
    assert!(tried > 0, "{} has no seeds", seeds.display());
}

#[test]
fn seeds_of_fleet_files_hold() {
    replay("configuration", stead_fuzz::configuration);
}

#[test]
fn seeds_of_requests_hold() {
    replay("api", stead_fuzz::api);
}

#[test]
fn seeds_of_datagrams_hold() {
    replay("notify", stead_fuzz::notify);
}

#[test]
fn seeds_of_frames_hold() {
    replay("frames", stead_fuzz::frames);
}

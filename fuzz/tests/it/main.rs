//! The seeds hold what is asserted of whatever comes in.

use std::io;
use std::path::Path;

fn replay(door: &str, hold: fn(&[u8])) -> io::Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(door);
    let mut tried = 0;
    for seed in std::fs::read_dir(&seeds)? {
        hold(&std::fs::read(seed?.path())?);
        tried += 1;
    }
    assert!(tried > 0, "{} has no seeds", seeds.display());
    Ok(())
}

#[test]
fn seeds_of_fleet_files_hold() -> io::Result<()> {
    replay("configuration", stead_fuzz::configuration)
}

#[test]
fn seeds_of_requests_hold() -> io::Result<()> {
    replay("api", stead_fuzz::api)
}

#[test]
fn seeds_of_datagrams_hold() -> io::Result<()> {
    replay("notify", stead_fuzz::notify)
}

#[test]
fn seeds_of_frames_hold() -> io::Result<()> {
    replay("frames", stead_fuzz::frames)
}

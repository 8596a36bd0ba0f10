use std::io::Write;
use std::os::fd::AsFd;

use stead_model::Bytes;

use super::*;
use crate::logs::{From, LogLine, read};

const AT: &str = "2026-11-22T03:10:27.123Z";
const RUN: Incarnation = Incarnation(1);

/// The directory of an agent with one FIFO.
struct Agent {
    dir: tempfile::TempDir,
    fifo: OwnedFd,
    spec: LogSpec,
}

impl Agent {
    fn new(max_size: u64, files: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = fifo_path(dir.path(), RUN, Stream::Out);
        make_fifo(&path).unwrap();
        Self {
            fifo: open_fifo(&path, OFlags::NONBLOCK).unwrap(),
            dir,
            spec: LogSpec {
                max_size: Bytes(max_size),
                files,
            },
        }
    }

    fn open(&self) -> AgentLog {
        AgentLog::open(self.dir.path().to_owned(), self.spec.clone()).unwrap()
    }

    fn print(&self, text: &str) {
        let file = File::from(self.fifo.try_clone().unwrap());
        (&file).write_all(text.as_bytes()).unwrap();
    }

    fn pump(&self, log: &mut AgentLog) {
        while log.pump(RUN, Stream::Out, self.fifo.as_fd(), AT).unwrap() == Pumped::Some {}
    }

    fn lines(&self, from: From) -> Vec<LogLine> {
        read(self.dir.path(), from, usize::MAX).unwrap().lines
    }

    fn texts(&self) -> Vec<String> {
        self.lines(From::Start).into_iter().map(|line| line.text).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

#[test]
fn a_line_is_written_once_it_is_whole() {
    let agent = Agent::new(1 << 20, 2);
    let mut log = agent.open();
    agent.print("one\ntw");
    agent.pump(&mut log);
    assert_eq!(agent.texts(), ["one"]);
    agent.print("o\n\nthree");
    agent.pump(&mut log);
    assert_eq!(agent.texts(), ["one", "two", ""]);
    log.finish(RUN, AT).unwrap();
    assert_eq!(agent.texts(), ["one", "two", "", "three"]);
    assert!(!agent.path("1.out.spool").exists());
}

#[test]
fn a_line_without_an_end_is_split_and_says_so() {
    let agent = Agent::new(1 << 30, 2);
    let mut log = agent.open();
    for _ in 0..5 {
        agent.print(&"x".repeat(MAX_LINE / 2));
        agent.pump(&mut log);
    }
    agent.print("\nnext\n");
    agent.pump(&mut log);
    let lines = agent.lines(From::Start);
    let forms: Vec<_> = lines.iter().map(|line| (line.text.len(), line.continued)).collect();
    assert_eq!(
        forms,
        [(MAX_LINE, true), (MAX_LINE, true), (MAX_LINE / 2, false), (4, false)]
    );
}

#[test]
fn a_keeper_killed_after_it_took_bytes_writes_them_when_it_is_back() {
    let agent = Agent::new(1 << 20, 2);
    let log = agent.open();
    agent.print("one\ntwo\nthr");
    let spool = log.spool(RUN, Stream::Out, true).unwrap();
    splice(&agent.fifo, None, &spool, Some(&mut 0), TURN, SpliceFlags::NONBLOCK).unwrap();
    drop(log);
    let mut log = agent.open();
    agent.pump(&mut log);
    assert_eq!(agent.texts(), ["one", "two"]);
    agent.print("ee\n");
    agent.pump(&mut log);
    assert_eq!(agent.texts(), ["one", "two", "three"]);
}

#[test]
fn a_keeper_killed_in_its_very_first_write_begins_again() {
    let agent = Agent::new(1 << 20, 2);
    let mut log = agent.open();
    agent.print("one\ntwo\n");
    let cursor = fs::read(agent.path("cursor")).unwrap();
    agent.pump(&mut log);
    fs::write(agent.path("cursor"), cursor).unwrap();
    let mut log = agent.open();
    agent.pump(&mut log);
    assert_eq!(agent.texts(), ["one", "two"]);
}

#[test]
fn a_keeper_killed_before_it_committed_writes_the_same_lines_once() {
    let agent = Agent::new(1 << 20, 2);
    let mut log = agent.open();
    agent.print("one\n");
    agent.pump(&mut log);
    let cursor = fs::read(agent.path("cursor")).unwrap();
    agent.print("two\nthree\n");
    agent.pump(&mut log);
    fs::write(agent.path("cursor"), cursor).unwrap();
    // Killed in the midst of the second line.
    let file = OpenOptions::new().write(true).open(agent.path("log")).unwrap();
    file.set_len(file.metadata().unwrap().len() - 9).unwrap();
    let mut log = agent.open();
    log.finish(RUN, AT).unwrap();
    assert_eq!(agent.texts(), ["one", "two", "three"]);
}

#[test]
fn a_rotation_cut_short_loses_nothing_and_keeps_positions() {
    for files in [1, 2, 4] {
        let agent = Agent::new(1 << 20, files);
        let mut log = agent.open();
        agent.print("one\n");
        agent.pump(&mut log);
        let next = read(agent.dir.path(), From::Start, 9).unwrap().next;
        drop(log);
        if files == 1 {
            fs::remove_file(agent.path("log")).unwrap();
        } else {
            fs::rename(agent.path("log"), agent.path("log.1")).unwrap();
        }
        let mut log = agent.open();
        agent.print("two\n");
        agent.pump(&mut log);
        let kept = if files == 1 { vec!["two"] } else { vec!["one", "two"] };
        assert_eq!(agent.texts(), kept);
        let lines = agent.lines(From::Position(next));
        assert_eq!(lines.len(), 1, "from where the reader was, there is one new line");
    }
}

#[test]
fn files_are_rotated_by_size_and_only_so_many_are_kept() {
    let agent = Agent::new(500, 3);
    let mut log = agent.open();
    for number in 0..100 {
        agent.print(&format!("{number}\n"));
        agent.pump(&mut log);
    }
    let texts = agent.texts();
    let last: Vec<String> = (100 - texts.len()..100).map(|number| number.to_string()).collect();
    assert_eq!(texts, last);
    assert!(agent.path("log.2").exists() && !agent.path("log.3").exists());
    assert!(fs::metadata(agent.path("log.1")).unwrap().len() < 600);
}

#[test]
fn a_reader_follows_over_rotations_and_is_told_of_a_gap() {
    let agent = Agent::new(400, 2);
    let mut log = agent.open();
    let mut next = 0;
    let mut seen = Vec::new();
    for number in 0..50 {
        agent.print(&format!("{number}\n"));
        agent.pump(&mut log);
        let page = read(agent.dir.path(), From::Position(next), usize::MAX).unwrap();
        assert_eq!(page.gap, 0);
        seen.extend(page.lines.into_iter().map(|line| line.text));
        next = page.next;
    }
    assert_eq!(seen, (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
    let page = read(agent.dir.path(), From::Position(0), 1).unwrap();
    assert!(page.gap > 0 && page.lines.len() == 1);
}

#[test]
fn a_tail_counts_lines_back_over_files() {
    let agent = Agent::new(400, 5);
    let mut log = agent.open();
    for number in 0..30 {
        agent.print(&format!("{number}\n"));
        agent.pump(&mut log);
    }
    let tail = |lines| -> Vec<String> {
        let lines = agent.lines(From::Tail(lines));
        lines.into_iter().map(|line| line.text).collect()
    };
    assert_eq!(tail(3), ["27", "28", "29"]);
    assert_eq!(tail(17), (13..30).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(tail(0), Vec::<String>::new());
    assert_eq!(tail(1000), agent.texts());
}

#[test]
fn lines_since_a_time_begin_with_the_first_of_that_time() {
    let agent = Agent::new(300, 9);
    let mut log = agent.open();
    for second in 10..40 {
        agent.print(&format!("{second}\n"));
        let at = format!("2026-11-22T03:10:{second}.000Z");
        while log.pump(RUN, Stream::Out, agent.fifo.as_fd(), &at).unwrap() == Pumped::Some {}
    }
    let since = "2026-11-22T03:10:25.000Z".parse().unwrap();
    let lines = agent.lines(From::Since(since));
    assert_eq!((lines[0].text.as_str(), lines.len()), ("25", 15));
}

#[test]
fn an_agent_that_never_printed_has_an_empty_page() {
    let dir = tempfile::tempdir().unwrap();
    let page = read(dir.path(), From::Tail(9), 9).unwrap();
    assert_eq!((page.lines.len(), page.next, page.gap), (0, 0, 0));
}

#[test]
fn written_parts_of_a_spool_are_given_back_to_the_disk() {
    use std::os::unix::fs::MetadataExt;
    let agent = Agent::new(1 << 30, 2);
    let mut log = agent.open();
    for _ in 0..40 {
        agent.print(&"0123456789abcde\n".repeat(2048));
        agent.pump(&mut log);
    }
    let meta = fs::metadata(agent.path("1.out.spool")).unwrap();
    assert_eq!(meta.len(), 40 * 32 * 1024);
    assert!(meta.blocks() * 512 <= PUNCH + 64 * 1024, "{} blocks", meta.blocks());
}

#[test]
fn a_link_in_place_of_the_log_is_not_followed() {
    let agent = Agent::new(1 << 20, 2);
    let target = agent.path("target");
    fs::write(&target, "untouched").unwrap();
    std::os::unix::fs::symlink(&target, agent.path("log")).unwrap();
    assert!(AgentLog::open(agent.dir.path().to_owned(), agent.spec.clone()).is_err());
    assert_eq!(fs::read(&target).unwrap(), b"untouched");
}

//! The play: what happens to the server, and who calls.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use stead_resilience::CircuitState;
use tokio::task::JoinSet;
use tokio::time::sleep;

#[path = "client.rs"]
mod client;
#[path = "protected.rs"]
mod protected;
#[path = "server.rs"]
mod server;
#[path = "tale.rs"]
mod tale;

use protected::{Answer, Protected};
use server::{Mood, Server};
use tale::Tale;

/// Plays all acts and tells them to `out`.
pub(crate) async fn run(out: impl Write + Send + 'static) -> Result<(), Box<dyn Error>> {
    let server = Server::start().await?;
    let tale = Tale::to(out);
    let protected = Arc::new(Protected::new(server.address())?);
    let listening = tale.listen_to(&protected);
    let mut stage = Stage {
        server,
        protected,
        tale,
        tally: Tally::default(),
    };

    stage.act(Mood::Well, "all is well");
    stage.ask(20).await;

    stage.act(Mood::Flaky, "every third answer is an error, every tenth never comes");
    stage.ask(60).await;

    stage.act(
        Mood::Down,
        "every answer is an error: the circuit opens, and the last answer stands in",
    );
    stage
        .ask_until(|stage| stage.is(CircuitState::Open) && stage.tally.stale >= 10)
        .await;

    stage.act(Mood::Well, "it is back: probes close the circuit");
    stage.ask_until(|stage| stage.is(CircuitState::Closed)).await;

    stage.act(
        Mood::Slow,
        "a crowd comes while answers take their time: seats and units run out",
    );
    stage.ask_at_once(80).await;

    stage.act(Mood::Busy, "it says when to come back: nobody asks before");
    stage.ask(5).await;

    stage.act(Mood::Well, "and all is well again");
    let fresh = stage.tally.fresh;
    stage.ask_until(|stage| stage.tally.fresh >= fresh + 20).await;

    listening.stop().await;
    stage.sum_up();
    Ok(())
}

/// The server, the calls, and what has come of them.
struct Stage {
    server: Server,
    protected: Arc<Protected>,
    tale: Tale,
    tally: Tally,
}

/// How callers were served.
#[derive(Default)]
struct Tally {
    asked: u64,
    fresh: u64,
    stale: u64,
    failed: u64,
}

impl Stage {
    fn act(&self, mood: Mood, what: &str) {
        self.server.be(mood);
        self.tale.tell("server", &format!("{mood:?}: {what}"));
    }

    fn is(&self, state: CircuitState) -> bool {
        self.protected.breaker.state() == state
    }

    /// So many calls, ten milliseconds apart, whether the one before has ended or not.
    async fn ask(&mut self, calls: u32) {
        self.crowd(calls, Duration::from_millis(10)).await;
    }

    async fn ask_at_once(&mut self, calls: u32) {
        self.crowd(calls, Duration::ZERO).await;
    }

    /// Call after call until it is so, but not for ever.
    async fn ask_until(&mut self, so: impl Fn(&Self) -> bool) {
        for _ in 0..2000 {
            if so(self) {
                return;
            }
            self.crowd(1, Duration::from_millis(10)).await;
        }
    }

    async fn crowd(&mut self, calls: u32, apart: Duration) {
        let mut callers = JoinSet::new();
        for _ in 0..calls {
            let protected = Arc::clone(&self.protected);
            callers.spawn(async move { protected.ask().await });
            sleep(apart).await;
        }
        while let Some(answered) = callers.join_next().await {
            self.count(answered.ok());
        }
    }

    fn count(&mut self, answered: Option<Answer>) {
        let tally = &mut self.tally;
        tally.asked += 1;
        match answered {
            Some(Answer::Fresh) => tally.fresh += 1,
            Some(Answer::Stale { answer, instead_of }) => {
                tally.stale += 1;
                self.tale
                    .tell("fallback", &format!("\"{answer}\" once more, as {instead_of}"));
            }
            Some(Answer::None(why)) => {
                tally.failed += 1;
                self.tale.tell("caller", &format!("has nothing: {why}"));
            }
            None => tally.failed += 1,
        }
    }

    fn sum_up(&self) {
        let (protected, tally) = (&self.protected, &self.tally);
        let told: [(&str, String); 7] = [
            (
                "callers",
                format!(
                    "{} asked, {} fresh, {} stale, {} nothing",
                    tally.asked, tally.fresh, tally.stale, tally.failed
                ),
            ),
            ("server", format!("{} requests", self.server.requests())),
            ("retry", format!("{:?}", protected.retry.snapshot())),
            ("breaker", format!("{:?}", protected.breaker.counts())),
            ("limiter", format!("{:?}", protected.limiter.snapshot())),
            ("bulkhead", format!("{:?}", protected.bulkhead.snapshot())),
            ("timeout", format!("{:?}", protected.each.snapshot())),
        ];
        for (who, what) in told {
            self.tale.tell(who, &what);
        }
    }
}

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

use protected::Protected;
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
        asked: 0,
        unanswered: 0,
    };

    stage.act(
        Mood::Down,
        "it is not up yet, and nobody has an answer: the canned one stands in",
    );
    stage.ask(5).await;

    stage.act(Mood::Well, "now it is");
    stage.ask_until_fresh(20).await;

    stage.act(Mood::Flaky, "every third answer is an error, every tenth never comes");
    stage.ask(60).await;

    stage.act(
        Mood::Down,
        "every answer is an error: the circuit opens, and the last answer stands in",
    );
    let stale = stage.protected.stale.snapshot().served;
    let stands_in = |stage: &Stage| stage.protected.stale.snapshot().served >= stale + 10;
    stage
        .ask_until(|stage| stage.is(CircuitState::Open) && stands_in(stage))
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
    stage.ask_until_fresh(20).await;

    listening.stop().await;
    stage.sum_up();
    Ok(())
}

/// The server, the calls, and what has come of them.
struct Stage {
    server: Server,
    protected: Arc<Protected>,
    tale: Tale,
    asked: u64,
    unanswered: u64,
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

    /// Call after call until so many more had an answer of now.
    async fn ask_until_fresh(&mut self, more: u64) {
        let before = self.fresh();
        self.ask_until(|stage| stage.fresh() >= before + more).await;
    }

    fn fresh(&self) -> u64 {
        self.asked - self.unanswered - self.protected.stood_in()
    }

    async fn crowd(&mut self, calls: u32, apart: Duration) {
        let mut callers = JoinSet::new();
        for _ in 0..calls {
            let protected = Arc::clone(&self.protected);
            callers.spawn(async move { protected.ask().await });
            sleep(apart).await;
        }
        while let Some(answered) = callers.join_next().await {
            self.asked += 1;
            match answered {
                Ok(Ok(_)) => {}
                Ok(Err(failure)) => {
                    self.unanswered += 1;
                    self.tale.tell("caller", &format!("has no answer: {failure}"));
                }
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            }
        }
    }

    fn sum_up(&self) {
        let protected = &self.protected;
        let (asked, fresh) = (self.asked, self.fresh());
        let [stale, canned] = [protected.stale.snapshot().served, protected.fallback.snapshot().needed];
        let told: [(&str, String); 7] = [
            (
                "callers",
                format!(
                    "{asked} asked, {fresh} fresh, {stale} stale, {canned} canned, {} nothing",
                    self.unanswered
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

//! The play: what happens to the server, and who calls.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use stead_resilience::CircuitState;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

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
    stage
        .ask_until_told(&[
            ("retry", "try 2 in "),
            ("budget", "the savings are used up: no "),
            ("fallback", "the canned answer stands in"),
        ])
        .await?;

    stage.act(Mood::Well, "now it is, and calls that succeed pay for extra ones");
    stage.ask_until_fresh(FILLS_THE_BUDGET).await?;

    stage.act(Mood::Flaky, "every third answer is an error, every tenth never comes");
    stage.ask(60).await;
    stage
        .ask_until_told(&[("retry", "saved by try "), ("timeout", "cut off after 250ms")])
        .await?;

    stage.act(Mood::Well, "and a while without trouble");
    stage.ask_until_closed().await?;
    stage.ask_until_fresh(FILLS_THE_BUDGET).await?;

    stage.act(
        Mood::Mute,
        "every third answer never comes: a call beside it does better",
    );
    stage
        .ask_until_told(&[
            ("hedge", "no answer yet: call 2 goes out beside it"),
            ("hedge", "the call beside it answers first"),
        ])
        .await?;

    stage.act(
        Mood::Down,
        "every answer is an error: the circuit opens, and the last answer stands in",
    );
    let stale = stage.protected.stale.snapshot().served;
    let stands_in = |stage: &Stage| stage.protected.stale.snapshot().served >= stale + 10;
    stage
        .ask_until("an open circuit", |stage| {
            stage.is(CircuitState::Open) && stands_in(stage)
        })
        .await?;
    let opens = [("breaker", "Closed → Open: Failures"), ("cache", "the answer of ")];
    stage.ask_until_told(&opens).await?;

    stage.act(Mood::Well, "it is back: probes close the circuit");
    stage.ask_until_closed().await?;
    let closes = [
        ("breaker", "Open → HalfOpen: PeriodOver"),
        ("breaker", "HalfOpen → Closed: ProbesSucceeded"),
    ];
    stage.ask_until_told(&closes).await?;

    stage.act(
        Mood::Slow,
        "a crowd comes while answers take their time: seats and units run out",
    );
    stage
        .ask_at_once_until_told("bulkhead", "refused, 16 wait already")
        .await?;

    stage.act(Mood::Well, "the crowd is gone");
    stage.ask_until_closed().await?;

    stage.act(Mood::Busy, "it says when to come back: nobody asks before");
    stage.ask(5).await;
    stage
        .ask_until_told(&[
            ("limiter", "the server asks for a pause of "),
            ("limiter", "refused, the next unit comes in "),
        ])
        .await?;

    stage.act(Mood::Well, "and all is well again");
    stage.ask_until_fresh(20).await?;

    listening.stop().await;
    stage.sum_up();
    Ok(())
}

/// The pause between calls that do not come at once.
const APART: Duration = Duration::from_millis(10);

/// Answers after which the budget has saved as much as it may.
const FILLS_THE_BUDGET: u64 = 60;

/// The longest that an act may last.
const ACT: Duration = Duration::from_secs(60);

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
        self.crowd(calls, APART).await;
    }

    /// Call after call until it is so, but not for ever.
    async fn ask_until(&mut self, what: &str, so: impl Fn(&Self) -> bool) -> Result<(), Box<dyn Error>> {
        self.crowds_until(1, what, so).await
    }

    /// Call after call until all of it was told; who tells is a task beside the calls.
    async fn ask_until_told(&mut self, parts: &[(&str, &str)]) -> Result<(), Box<dyn Error>> {
        let told = |stage: &Self| parts.iter().all(|(who, what)| stage.tale.has_told(who, what));
        self.ask_until(&format!("{parts:?}"), told).await
    }

    /// Crowds that come all at once until it was told.
    async fn ask_at_once_until_told(&mut self, who: &str, what: &str) -> Result<(), Box<dyn Error>> {
        self.crowds_until(80, what, |stage| stage.tale.has_told(who, what))
            .await
    }

    /// Call after call until so many more had an answer of now.
    async fn ask_until_fresh(&mut self, more: u64) -> Result<(), Box<dyn Error>> {
        let before = self.fresh();
        self.ask_until("an answer of now", |stage| stage.fresh() >= before + more)
            .await
    }

    /// Call after call until the circuit is closed and its last failure is followed by a success.
    async fn ask_until_closed(&mut self) -> Result<(), Box<dyn Error>> {
        self.ask_until("a closed circuit", |stage| stage.is(CircuitState::Closed))
            .await?;
        self.ask_until_fresh(1).await
    }

    async fn crowds_until(&mut self, calls: u32, what: &str, so: impl Fn(&Self) -> bool) -> Result<(), Box<dyn Error>> {
        let bound = Instant::now() + ACT;
        while !so(self) {
            if Instant::now() > bound {
                return Err(format!("within {ACT:?} nobody has seen {what}").into());
            }
            let apart = if calls == 1 { APART } else { Duration::ZERO };
            self.crowd(calls, apart).await;
        }
        Ok(())
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
        let told: [(&str, String); 9] = [
            (
                "callers",
                format!(
                    "{asked} asked, {fresh} fresh, {stale} stale, {canned} canned, {} nothing",
                    self.unanswered
                ),
            ),
            ("server", format!("{} requests", self.server.requests())),
            ("retry", format!("{:?}", protected.retry.snapshot())),
            ("hedge", format!("{:?}", protected.hedge.snapshot())),
            ("budget", format!("{:?}", protected.budget.snapshot())),
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

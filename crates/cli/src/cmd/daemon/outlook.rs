//! How a fleet stands that was just brought up: who is up, who cannot come up, who is on the way.

use std::time::Duration;

use stead_client::{AgentFilter, Client, ClientError, Registry};
use stead_daemon::Handle;
use stead_model::AgentView;
use tokio::time::{Instant, sleep};

use crate::settle::{Standing, standing};

/// How the agents of a fleet stand.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Outlook {
    /// How many take work, or have done it.
    pub(crate) up: usize,
    /// How many somebody wants otherwise.
    pub(crate) aside: usize,
    /// Those that do not come up by themselves, and why.
    pub(crate) troubled: Vec<(String, String)>,
    /// Those that are on the way.
    pub(crate) underway: Vec<String>,
}

impl Outlook {
    fn note(&mut self, view: &AgentView) {
        match standing(view) {
            Standing::Up => self.up += 1,
            Standing::Aside => self.aside += 1,
            Standing::Troubled(why) => self.troubled.push((view.name.to_string(), why)),
            Standing::Underway => self.underway.push(view.name.to_string()),
        }
    }

    /// Whether all who come up by themselves have done so.
    fn is_settled(&self) -> bool {
        self.underway.is_empty()
    }
}

/// Watches the fleet of a daemon of this process until it is settled and stays so, for so long at most.
pub(super) async fn watch(handle: &Handle, limit: Duration) -> Outlook {
    let look = || {
        let mut outlook = Outlook::default();
        handle.views().each(|agent| outlook.note(&agent.view()));
        outlook
    };
    let mut commits = handle.committed();
    let settled = async {
        loop {
            if look().is_settled() {
                // Many fail right after they came up.
                sleep(STEADY).await;
                let outlook = look();
                if outlook.is_settled() {
                    return outlook;
                }
            } else if commits.changed().await.is_err() {
                return look();
            }
        }
    };
    match tokio::time::timeout(limit, settled).await {
        Ok(outlook) => outlook,
        Err(_late) => look(),
    }
}

/// The same of a daemon elsewhere, until a moment.
pub(super) async fn ask(client: &Client, until: Instant) -> Result<Outlook, ClientError> {
    let mut steady = 0;
    loop {
        let mut outlook = Outlook::default();
        for registry in [Registry::Agents, Registry::Components] {
            let all = client.list_all(registry, &AgentFilter::default()).await?;
            all.iter().for_each(|view| outlook.note(view));
        }
        steady = if outlook.is_settled() { steady + 1 } else { 0 };
        if LOOK * steady > STEADY || Instant::now() >= until {
            return Ok(outlook);
        }
        sleep(LOOK).await;
    }
}

const LOOK: Duration = Duration::from_millis(200);

/// So long a fleet must be settled to be told so.
const STEADY: Duration = Duration::from_secs(1);

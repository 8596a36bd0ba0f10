//! What every command has at hand: the daemon, the namespace, the output.

use stead_client::{AgentFilter, Client, Registry, Settings, Target};
use stead_model::{AgentRef, AgentView, Namespace};

use crate::args::{Global, Scope};
use crate::failure::Failure;
use crate::render::Out;

/// One run of the command line.
pub(crate) struct App<'a> {
    pub(crate) client: Client,
    pub(crate) namespace: Namespace,
    pub(crate) out: &'a mut Out,
}

impl<'a> App<'a> {
    pub(crate) fn new(global: &Global, out: &'a mut Out) -> Result<Self, Failure> {
        Ok(Self {
            client: Client::new(&settings(global)?)?,
            namespace: global.namespace.clone(),
            out,
        })
    }

    pub(crate) fn target(&self, agent: &AgentRef) -> Target {
        Target::new(self.namespace.clone(), agent.clone())
    }

    /// The agents and the components of a scope, by namespace and name.
    pub(crate) async fn list(&self, scope: &Scope, filter: AgentFilter) -> Result<Vec<AgentView>, Failure> {
        let filter = AgentFilter {
            namespace: (!scope.all_namespaces).then(|| self.namespace.clone()),
            ..filter
        };
        let mut all = self.client.list_all(Registry::Agents, &filter).await?;
        all.extend(self.client.list_all(Registry::Components, &filter).await?);
        all.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        Ok(all)
    }
}

/// Where the daemon is: what the command line says, else what the environment says.
pub(crate) fn settings(global: &Global) -> Result<Settings, Failure> {
    let mut settings = Settings::from_env()?;
    // An empty variable is one that is not set.
    if let Some(url) = global.url.as_ref().filter(|url| !url.is_empty()) {
        settings.url.clone_from(url);
    }
    if let Some(token) = global.token.as_ref().filter(|token| !token.is_empty()) {
        settings.token = Some(token.clone());
    }
    Ok(settings)
}

//! Providers whose agent serves, and those whose does not.

use stead_model::Health;

use super::*;
use crate::views::tests::view;

/// `first` is served by the agent `web`, `second` by nobody in particular.
async fn served_by_web(servers: [&Server; 2]) -> World {
    let first = format!("{}\nagent = 'web'", url(servers[0]));
    let toml = fleet(&[("first", "100", &first), ("second", "50", &url(servers[1]))]);
    World::new(&format!("{toml}[agents.web]\ncommand = ['serve']\n"))
}

fn first(world: &World) -> ProviderView {
    let shown = world.capabilities.one(&"do".parse().unwrap(), &world.views);
    shown.unwrap().providers.remove(0)
}

#[tokio::test]
async fn an_agent_that_is_down_is_passed_over_with_its_reason() {
    let servers = [Server::new([]).await, Server::new([]).await];
    let world = served_by_web([&servers[0], &servers[1]]).await;
    assert_eq!(world.who().await, "second");
    assert_eq!(first(&world).phase, None);
    assert_eq!(
        first(&world).skipped.as_deref(),
        Some("web is not known in namespace default")
    );

    for phase in ["offline", "starting", "suspended", "maintenance", "stopping", "error"] {
        world.views.publish(view(1, "web", phase));
        assert_eq!(world.who().await, "second");
        assert_eq!(first(&world).skipped.unwrap(), format!("web is {phase}"));
        assert_eq!(first(&world).phase.as_deref(), Some(phase));
    }
    assert!(servers[0].seen().is_empty());
    assert_eq!(
        world.circuit("do/first").failed,
        0,
        "it was not asked: nothing is known of it"
    );

    for phase in ["online", "busy", "idle"] {
        world.views.publish(view(1, "web", phase));
        assert_eq!(world.who().await, "first");
        assert_eq!(first(&world).skipped, None);
    }
}

#[tokio::test]
async fn an_agent_in_bad_health_is_passed_over_and_one_that_is_not_known_to_be_is_asked() {
    let servers = [Server::new([]).await, Server::new([]).await];
    let world = served_by_web([&servers[0], &servers[1]]).await;
    for (health, who) in [
        (Health::Unknown, "first"),
        (Health::Healthy, "first"),
        (Health::Degraded, "first"),
        (Health::Recovering, "first"),
        (Health::Critical, "second"),
        (Health::Failed, "second"),
    ] {
        let mut web = view(1, "web", "online");
        web.health = health;
        world.views.publish(web);
        assert_eq!(world.who().await, who, "{health}");
    }
    assert_eq!(first(&world).skipped.as_deref(), Some("the health of web is failed"));
}

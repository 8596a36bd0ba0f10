use super::world::World;

#[tokio::test]
async fn attempts_are_listed_newest_first_with_what_they_were_for_and_filtered() {
    let world = World::new();
    let listed = world
        .get("/recoveries?strategy=restart&failure=process_exit&state=running&agent=a")
        .await;
    assert_eq!(listed.status, 200, "{}", listed.text);
    assert_eq!(listed.json()["items"], serde_json::json!([]));
    for wrong in ["?cursor=x", "?failure=tired", "?state=maybe", "?strategy=pray"] {
        let refused = world.get(&format!("/recoveries{wrong}")).await;
        assert_eq!(refused.problem(), (400, "invalid-request".into()), "{wrong}");
    }
}

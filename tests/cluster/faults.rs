//! What ships has no faults in it; a fault build says so and fails as told.

use crate::support::{Cluster, atoll, eventually, text};

/// Whether the program under test is a fault build.
const FAULTS: bool = cfg!(feature = "faults");

#[test]
fn a_program_says_whether_it_is_a_fault_build() {
    let said = atoll(&["--version"]);
    assert_eq!(text(&said.stdout).contains("FAULT BUILD"), FAULTS);
}

#[tokio::test]
async fn only_a_fault_build_follows_a_control_file() {
    let mut cluster = Cluster::serving(1).await;
    cluster.kill(0);
    let control = cluster.dir.path().join("faults.json");
    let applied = cluster.dir.path().join("faults.json.applied");
    std::fs::write(&control, "{}").unwrap();
    cluster.start_with(0, &[("ATOLL_FAULTS", control.to_str().unwrap())]);
    cluster.wait_answering().await;
    cluster.wait_serving().await;
    std::fs::write(&control, r#"{"fsync": "error"}"#).unwrap();
    if !FAULTS {
        let client = cluster.client(std::time::Duration::from_secs(20)).await;
        client.put("a", "1").await.unwrap();
        assert!(!applied.exists(), "what ships reads no control file");
        return;
    }
    eventually("the fault is in effect", async || {
        std::fs::read_to_string(&applied).is_ok_and(|text| text.contains("error"))
    })
    .await;
    let client = cluster.client(std::time::Duration::from_secs(2)).await;
    let refused = client.put("a", "1").await;
    assert!(refused.is_err(), "what was not synced is not acknowledged");
    let child = &mut cluster.nodes[0].as_mut().unwrap().child;
    assert!(!child.wait().unwrap().success(), "a failed sync ends the process");
    std::fs::remove_file(&control).unwrap();
    cluster.nodes[0] = None;
    cluster.start(0);
    cluster.wait_answering().await;
    cluster.wait_serving().await;
}

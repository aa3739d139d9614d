//! What a call tells whoever listens.

use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::support::{Action, World, client};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_one_span_with_operation_group_node_and_attempts() {
    let lines = Lines::default();
    let written = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || written.clone())
        .with_max_level(tracing::Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::new(3, 1);
    let client = client(&world).await;
    client.get("k").await.unwrap();
    // Other tests may have been the first at this callsite, with nobody listening.
    tracing::callsite::rebuild_interest_cache();
    lines.0.lock().clear();
    client.put("k", "v").await.unwrap();
    world.writes_meet([Action::ServeAndCut]);
    client.put("k", "v").await.unwrap();
    client.get("k").await.unwrap();
    let text = String::from_utf8(lines.0.lock().clone()).unwrap();
    let closed = |what: &str| {
        text.lines()
            .filter(|line| line.contains("close") && line.contains(what))
            .count()
    };
    let [first, second, third] = [
        "call{operation=\"write\" group=1 node=\"n2\" attempts=1}",
        "call{operation=\"write\" group=1 node=\"n2\" attempts=3}",
        "call{operation=\"get\" group=1 node=\"n2\" attempts=1}",
    ]
    .map(closed);
    assert_eq!((first, second, third), (1, 1, 1), "{text}");
}

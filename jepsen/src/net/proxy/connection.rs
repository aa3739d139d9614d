//! One connection through a proxy.

use std::net::SocketAddr;
use std::time::Duration;

use atoll_env::{Clock, Rng};
use futures_util::future::try_join;
use tokio::net::TcpStream;

use super::pump::{Broken, Ends, Pump};
use super::way::Course;

/// A node that is paused takes no connection, nor does it refuse one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that somebody opened, to be continued to where it should lead.
pub(super) struct Connection {
    pub(super) opener: TcpStream,
    pub(super) target: SocketAddr,
    /// From the opener to the target.
    pub(super) forth: Course,
    /// From the target to the opener.
    pub(super) back: Course,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
}

impl Connection {
    /// Until both ends have closed it, or it is broken.
    pub(super) async fn run(mut self) {
        if self.carry().await.is_err() {
            reset(&self.opener);
        }
    }

    async fn carry(&mut self) -> Result<(), Broken> {
        // While nothing reaches the target, not even the wish to connect does.
        hold(&self.opener, &mut self.forth).await?;
        let connecting = self
            .clock
            .timeout(CONNECT_TIMEOUT, TcpStream::connect(self.target));
        let Ok(Ok(target)) = connecting.await else {
            // That nobody is there is news too, which a cut does not let pass.
            hold(&self.opener, &mut self.back).await?;
            return Err(Broken);
        };
        let carried = self.pump(&target).await;
        if carried.is_err() {
            reset(&target);
        }
        carried
    }

    async fn pump(&self, target: &TcpStream) -> Result<(), Broken> {
        for stream in [&self.opener, target] {
            stream.set_nodelay(true).map_err(|_| Broken)?;
        }
        let ends = Ends::new(0);
        let tools = (&self.clock, &self.rng);
        let forth = Pump::new((&self.opener, target), self.forth.clone(), tools, &ends);
        let back = Pump::new((target, &self.opener), self.back.clone(), tools, &ends);
        try_join(forth.run(), back.run()).await.map(|((), ())| ())
    }
}

/// Waits until the way is open. What is sent meanwhile is swallowed, and the connection with it.
async fn hold(opener: &TcpStream, course: &mut Course) -> Result<(), Broken> {
    let mut scratch = [0; 4096];
    let mut holed = false;
    while course.condition().blackhole {
        tokio::select! {
            biased;
            changed = course.changed() => drop(changed.map_err(|_| Broken)?),
            _ = opener.readable() => match opener.try_read(&mut scratch) {
                Ok(0) => return Err(Broken),
                Ok(_) => holed = true,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Broken),
            },
        }
    }
    if holed { Err(Broken) } else { Ok(()) }
}

/// Closed from here on, a connection is reset.
fn reset(stream: &TcpStream) {
    // A stream for which this fails is broken anyway.
    let _ = stream.set_zero_linger();
}

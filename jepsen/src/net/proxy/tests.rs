//! Plain TCP through the proxies, on loopback.

use std::io;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::way::{Passed, Way};
use super::*;

/// More than all buffers between two ends hold together: once it is written, somebody has taken most of it.
const FLOOD: usize = 24 << 20;
const PATIENCE: Duration = Duration::from_secs(60);
const ONE: Party = Party::Node(1);
const TWO: Party = Party::Node(2);

/// Links of two nodes, and a listener in the place of each.
struct World {
    env: Env,
    net: ProxyNet,
    listeners: BTreeMap<u16, TcpListener>,
}

impl World {
    async fn new() -> Self {
        let mut tries = 0;
        loop {
            match Self::listen().await {
                Ok(world) => return world,
                // Between the choice of a port and its use another program may take it.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < 20 => tries += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn listen() -> io::Result<Self> {
        let env = Env::real();
        let net = ProxyNet::new(2, &env).unwrap();
        let mut listeners = BTreeMap::new();
        for node in [1, 2] {
            let address = argument(&net, node, "--listen");
            listeners.insert(node, TcpListener::bind(address).await?);
        }
        Ok(Self { env, net, listeners })
    }

    async fn dial(&self, from: Party, to: u16) -> TcpStream {
        let known = self.net.advertised(to, 0);
        let dialed = match from {
            Party::Clients => known,
            Party::Node(node) => {
                let map = argument(&self.net, node, "--dial-map");
                let mut pairs = map.split(',').map(|pair| pair.split_once('=').unwrap());
                pairs.find(|(address, _)| *address == known).unwrap().1.to_owned()
            }
        };
        TcpStream::connect(dialed).await.unwrap()
    }

    async fn accept(&self, node: u16) -> TcpStream {
        self.soon(self.listeners[&node].accept()).await.unwrap().0
    }

    /// A connection with its two ends.
    async fn pair(&self, from: Party, to: u16) -> (TcpStream, TcpStream) {
        let opener = self.dial(from, to).await;
        (opener, self.accept(to).await)
    }

    async fn soon<F: Future>(&self, work: F) -> F::Output {
        self.env.clock.timeout(PATIENCE, work).await.unwrap()
    }

    fn lay(&self, from: Party, to: Party, fault: LinkFault) -> Overlay {
        self.net.lay(&[Cut { from, to, fault }]).unwrap()
    }

    fn lift(&self, overlay: Overlay) {
        self.net.lift(overlay).unwrap();
    }

    async fn send(&self, stream: &mut TcpStream, bytes: &[u8]) {
        self.soon(stream.write_all(bytes)).await.unwrap();
    }

    async fn receive(&self, stream: &mut TcpStream, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.soon(stream.read_exact(&mut bytes)).await.unwrap();
        bytes
    }

    /// What arrives until the connection ends, and whether it ended in order.
    async fn rest(&self, stream: &mut TcpStream) -> (usize, bool) {
        let mut bytes = Vec::new();
        let ended = self.soon(stream.read_to_end(&mut bytes)).await;
        (bytes.len(), ended.is_ok())
    }

    async fn passes(&self, from: &mut TcpStream, to: &mut TcpStream) {
        self.send(from, b"passes").await;
        assert_eq!(self.receive(to, 6).await, b"passes");
    }

    /// A direction is whole: a new connection carries bytes both ways.
    async fn whole(&self, from: Party, to: u16) {
        let (mut opener, mut target) = self.pair(from, to).await;
        self.passes(&mut opener, &mut target).await;
        self.passes(&mut target, &mut opener).await;
    }

    /// Nothing sent to a node arrives, not even a connection.
    async fn cut(&self, from: Party, to: u16) {
        let mut opener = self.dial(from, to).await;
        self.send(&mut opener, &vec![7; FLOOD]).await;
        assert!(self.listeners[&to].accept().now_or_never().is_none());
        // Nor does the sender hear anything.
        assert!(opener.read_u8().now_or_never().is_none());
    }
}

fn argument(net: &ProxyNet, node: u16, option: &str) -> String {
    let arguments = net.arguments(node, 0);
    let position = arguments.iter().position(|argument| argument == option).unwrap();
    arguments[position + 1].clone()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test]
async fn bytes_and_ends_pass_unchanged() {
    let world = World::new().await;
    for from in [Party::Clients, TWO] {
        let (mut opener, mut target) = world.pair(from, 1).await;
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
        let (sent, received) = tokio::join!(opener.write_all(&bytes), world.receive(&mut target, 3_000_000));
        sent.unwrap();
        assert!(received == bytes);
        // One side ends, the other may still answer.
        opener.shutdown().await.unwrap();
        assert_eq!(world.rest(&mut target).await, (0, true));
        world.passes(&mut target, &mut opener).await;
        drop(target);
        assert_eq!(world.rest(&mut opener).await, (0, true));
    }
}

#[tokio::test]
async fn a_cut_takes_what_both_links_carry_that_way_and_leaves_the_other_way() {
    let world = World::new().await;
    let (mut one, mut two) = world.pair(ONE, 2).await;
    let (mut other_two, mut other_one) = world.pair(TWO, 1).await;
    let cut = world.lay(ONE, TWO, LinkFault::Blackhole);
    for sender in [&mut one, &mut other_one] {
        world.send(sender, &vec![1; FLOOD]).await;
    }
    // What 2 sends to 1 flows, on connections that either opened.
    world.passes(&mut two, &mut one).await;
    world.passes(&mut other_two, &mut other_one).await;
    assert!(two.read_u8().now_or_never().is_none());
    assert!(other_two.read_u8().now_or_never().is_none());
    world.lift(cut);
    // No stream goes on with a hole in it.
    for stream in [&mut one, &mut two, &mut other_one, &mut other_two] {
        assert_eq!(world.rest(stream).await, (0, false));
    }
    world.whole(ONE, 2).await;
    world.whole(TWO, 1).await;
}

#[tokio::test]
async fn a_connection_of_which_nothing_was_swallowed_outlives_the_cut() {
    let world = World::new().await;
    let (mut opener, mut target) = world.pair(Party::Clients, 1).await;
    let cut = world.lay(Party::Clients, ONE, LinkFault::Blackhole);
    world.passes(&mut target, &mut opener).await;
    world.lift(cut);
    world.passes(&mut opener, &mut target).await;
}

#[tokio::test]
async fn during_a_cut_connections_open_and_nothing_comes() {
    let world = World::new().await;
    let cut = world.lay(ONE, TWO, LinkFault::Blackhole);
    world.cut(ONE, 2).await;
    // Others reach the node.
    world.whole(Party::Clients, 2).await;
    let mut held = world.dial(ONE, 2).await;
    world.send(&mut held, &vec![1; FLOOD]).await;
    world.lift(cut);
    assert_eq!(world.rest(&mut held).await, (0, false));
    world.whole(ONE, 2).await;
}

#[tokio::test]
async fn an_answer_that_is_cut_leaves_the_request() {
    let world = World::new().await;
    let cut = world.lay(ONE, Party::Clients, LinkFault::Blackhole);
    let (mut client, mut node) = world.pair(Party::Clients, 1).await;
    world.passes(&mut client, &mut node).await;
    world.send(&mut node, &vec![1; FLOOD]).await;
    assert!(client.read_u8().now_or_never().is_none());
    world.lift(cut);
    assert_eq!(world.rest(&mut client).await, (0, false));
}

#[tokio::test]
async fn a_cut_does_not_tell_of_a_death() {
    let world = World::new().await;
    let (mut one, mut two) = world.pair(ONE, 2).await;
    world.passes(&mut one, &mut two).await;
    let cut = world.lay(TWO, ONE, LinkFault::Blackhole);
    // Unread bytes make this a reset.
    world.send(&mut one, b"never read").await;
    two.readable().await.unwrap();
    drop(two);
    world.send(&mut one, &vec![1; FLOOD]).await;
    assert!(one.read_u8().now_or_never().is_none());
    world.lift(cut);
    assert_eq!(world.rest(&mut one).await, (0, false));
}

#[tokio::test]
async fn nobody_there_is_a_reset_and_no_news_through_a_cut() {
    let mut world = World::new().await;
    world.listeners.remove(&2);
    let mut one = world.dial(ONE, 2).await;
    assert_eq!(world.rest(&mut one).await, (0, false));
    let cut = world.lay(TWO, ONE, LinkFault::Blackhole);
    let mut one = world.dial(ONE, 2).await;
    world.send(&mut one, &vec![1; FLOOD]).await;
    assert!(one.read_u8().now_or_never().is_none());
    world.lift(cut);
    assert_eq!(world.rest(&mut one).await, (0, false));
}

#[tokio::test]
async fn delays_are_at_least_so_long_and_keep_the_order() {
    let world = World::new().await;
    let (mut one, mut two) = world.pair(ONE, 2).await;
    let fault = LinkFault::Delay {
        delay: ms(60),
        jitter: ms(40),
    };
    let overlay = world.lay(ONE, TWO, fault);
    let clock = &world.env.clock;
    let mut received = Vec::new();
    for number in 0..5_u8 {
        let began = clock.now();
        world.send(&mut one, &[number]).await;
        received.extend(world.receive(&mut two, 1).await);
        assert!(clock.now().since(began) >= ms(60));
    }
    for number in 5..100_u8 {
        world.send(&mut one, &[number]).await;
    }
    received.extend(world.receive(&mut two, 95).await);
    assert_eq!(received, (0..100).collect::<Vec<u8>>());
    // The other way is as fast as before: an hour would not pass.
    let hour = LinkFault::Delay {
        delay: Duration::from_secs(3600),
        jitter: Duration::ZERO,
    };
    let slower = world.lay(ONE, TWO, hour);
    world.send(&mut one, b"held back").await;
    world.passes(&mut two, &mut one).await;
    assert!(two.read_u8().now_or_never().is_none());
    // What is held back comes when the delay is lifted; the shorter one has passed or passes.
    world.lift(slower);
    assert_eq!(world.receive(&mut two, 9).await, b"held back");
    world.lift(overlay);
    world.passes(&mut one, &mut two).await;
}

#[tokio::test]
async fn what_is_held_back_is_bounded() {
    let world = World::new().await;
    let (mut one, _two) = world.pair(ONE, 2).await;
    let hour = LinkFault::Delay {
        delay: Duration::from_secs(3600),
        jitter: Duration::ZERO,
    };
    world.lay(ONE, TWO, hour);
    let flood = vec![1; 2 * FLOOD];
    // Ends only if somebody takes it all.
    let sent = world.env.clock.timeout(ms(500), one.write_all(&flood)).await;
    assert!(sent.is_err());
}

#[tokio::test]
async fn a_narrow_way_is_shared_by_its_connections() {
    let world = World::new().await;
    let (mut one, mut two) = world.pair(ONE, 2).await;
    let (mut other_two, mut other_one) = world.pair(TWO, 1).await;
    let overlay = world.lay(ONE, TWO, LinkFault::Bandwidth(100_000));
    let began = world.env.clock.now();
    let (first, second) = (vec![1; 20_000], vec![2; 20_000]);
    let done = async {
        tokio::join!(
            one.write_all(&first),
            other_one.write_all(&second),
            world.receive(&mut two, 20_000),
            world.receive(&mut other_two, 20_000),
        )
    };
    let (sent, other_sent, received, other_received) = done.await;
    sent.and(other_sent).unwrap();
    assert!(received == first && other_received == second);
    // The first and the last piece of 20 ms need not be waited for.
    assert!(world.env.clock.now().since(began) >= ms(360));
    world.lift(overlay);
    let flood = vec![3; FLOOD];
    let (sent, received) = tokio::join!(one.write_all(&flood), world.receive(&mut two, FLOOD));
    sent.unwrap();
    assert!(received == flood);
}

#[tokio::test]
async fn a_dripping_way_passes_a_few_bytes_at_a_time() {
    let world = World::new().await;
    let (mut one, mut two) = world.pair(ONE, 2).await;
    world.lay(ONE, TWO, LinkFault::Drip);
    let began = world.env.clock.now();
    world.send(&mut one, &[5; 640]).await;
    assert_eq!(world.receive(&mut two, 640).await, [5; 640]);
    assert!(world.env.clock.now().since(began) >= ms(190));
}

#[tokio::test]
async fn resets_end_what_is_open_and_what_is_used() {
    let world = World::new().await;
    let (mut one, mut two) = world.pair(ONE, 2).await;
    let (mut other_two, mut other_one) = world.pair(TWO, 1).await;
    let overlay = world.lay(ONE, TWO, LinkFault::Reset);
    for stream in [&mut one, &mut two, &mut other_one, &mut other_two] {
        assert_eq!(world.rest(stream).await, (0, false));
    }
    // The request arrives, its answer ends the connection.
    let (mut two, mut one) = world.pair(TWO, 1).await;
    world.passes(&mut two, &mut one).await;
    world.send(&mut one, b"answer").await;
    assert_eq!(world.rest(&mut two).await, (0, false));
    assert_eq!(world.rest(&mut one).await, (0, false));
    world.lift(overlay);
    world.whole(ONE, 2).await;
    world.whole(TWO, 1).await;
}

#[tokio::test]
async fn overlays_are_lifted_in_any_order() {
    let world = World::new().await;
    for order in [[0, 1], [1, 0]] {
        let both = [(ONE, TWO), (TWO, ONE)].map(|(from, to)| Cut {
            from,
            to,
            fault: LinkFault::Blackhole,
        });
        let overlays = [
            world.net.lay(&both).unwrap(),
            world.lay(ONE, TWO, LinkFault::Blackhole),
        ];
        let drip = world.lay(TWO, ONE, LinkFault::Drip);
        world.cut(ONE, 2).await;
        world.lift(overlays[order[0]]);
        world.cut(ONE, 2).await;
        world.lift(overlays[order[1]]);
        world.whole(ONE, 2).await;
        world.lift(drip);
        world.whole(TWO, 1).await;
    }
}

#[tokio::test]
async fn wrong_faults_are_refused_and_lay_nothing() {
    let world = World::new().await;
    for (from, to) in [
        (ONE, Party::Node(3)),
        (Party::Node(0), TWO),
        (ONE, ONE),
        (Party::Clients, Party::Clients),
    ] {
        let cuts = [
            Cut {
                from: ONE,
                to: TWO,
                fault: LinkFault::Blackhole,
            },
            Cut {
                from,
                to,
                fault: LinkFault::Drip,
            },
        ];
        let error = world.net.lay(&cuts).unwrap_err();
        assert!(error.to_string().contains("no link from"), "{error}");
    }
    world.whole(ONE, 2).await;
    let overlay = world.lay(ONE, TWO, LinkFault::Drip);
    world.lift(overlay);
    assert!(world.net.lift(overlay).is_err());
}

#[tokio::test]
async fn connections_end_with_the_links() {
    let World { env, net, listeners } = World::new().await;
    let mut opener = TcpStream::connect(net.advertised(1, 0)).await.unwrap();
    let (mut target, _) = listeners[&1].accept().await.unwrap();
    opener.write_all(b"x").await.unwrap();
    assert_eq!(target.read_u8().await.unwrap(), b'x');
    let address = net.advertised(1, 0);
    drop(net);
    let ended = env.clock.timeout(PATIENCE, opener.read_u8()).await.unwrap();
    assert!(ended.is_err());
    let refused = async {
        while TcpStream::connect(&address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    env.clock.timeout(PATIENCE, refused).await.unwrap();
}

#[tokio::test]
async fn each_life_has_places_of_its_own() {
    let net = ProxyNet::new(3, &Env::real()).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for node in 1..=3 {
        for life in 0..LIVES {
            let arguments = net.arguments(node, life);
            assert_eq!(arguments[0], "--listen");
            assert!(seen.insert(arguments[1].clone()), "{arguments:?}");
            assert!(seen.insert(net.advertised(node, life)));
            // Two others in each of their lives, and itself.
            assert_eq!(arguments[5].split(',').count(), 2 * LIVES as usize + 1);
        }
        assert_eq!(net.arguments(node, LIVES), net.arguments(node, 0));
    }
}

#[test]
fn once_a_way_is_cut_nothing_is_sent_any_more() {
    let clock = Env::real().clock;
    let way = Way::new();
    let course = way.course();
    let pass = || course.pass(&clock, b"abc", |bytes| Ok(bytes.len())).unwrap();
    assert!(matches!(pass(), Passed::Sent(3)));
    for fault in [LinkFault::Blackhole, LinkFault::Reset] {
        way.set(Condition::worst([fault]));
        assert!(matches!(pass(), Passed::Barred));
    }
    way.set(Condition::default());
    assert!(matches!(pass(), Passed::Sent(3)));
}

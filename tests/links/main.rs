//! Real nodes over links that are broken: through proxies, and, where that is possible, between network namespaces.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: what fails in them ends the test"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use atoll_client::{Client, Options as ClientOptions};
use atoll_env::{Env, Rng};
use atoll_jepsen::cluster::Cluster;
use atoll_jepsen::field::Field;
use atoll_jepsen::nemesis::network::{Packet, Partition};
use atoll_jepsen::nemesis::{Nemesis, Refusal};
use atoll_jepsen::net::{self, Cut, LinkFault, Net, Party};
use atoll_jepsen::options::{NetKind, Options};

/// How long anything may take on a slow, loaded machine before a test calls it broken.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(50);
const GROUPS: u32 = 3;

struct World {
    field: Field,
    _dir: tempfile::TempDir,
}

impl World {
    /// A cluster that serves, or why this machine cannot have such links.
    async fn new(kind: NetKind, nodes: u16) -> Result<Self, String> {
        let env = Env::real();
        let dir = tempfile::tempdir().unwrap();
        let net = net::make(kind, nodes, &env).map_err(|error| error.to_string())?;
        let options = Arc::new(Options {
            workloads: Vec::new(),
            nemeses: Vec::new(),
            time: PATIENCE,
            seed: 1,
            nodes,
            groups: GROUPS,
            rate: 1,
            concurrency: 1,
            net: kind,
            store: dir.path().to_owned(),
            binary: env!("CARGO_BIN_EXE_atoll").into(),
            mutant: None,
        });
        let began = env.clock.now();
        let cluster =
            Cluster::prepare(&env, Arc::clone(&net), Arc::clone(&options), dir.path(), began).unwrap();
        let cluster = Arc::new(cluster);
        cluster.launch(GROUPS).await.unwrap();
        let field = Field {
            env,
            cluster,
            net,
            options,
            began,
        };
        Ok(Self { field, _dir: dir })
    }

    async fn client(&self) -> Client {
        let addresses = self
            .field
            .cluster
            .numbers()
            .map(|node| self.field.cluster.address(node));
        let options = ClientOptions {
            deadline: PATIENCE,
            ..ClientOptions::default()
        };
        let addresses: Vec<String> = addresses.collect();
        Client::connect(&self.field.env, &addresses, options)
            .await
            .unwrap()
    }

    /// Whom a node believes to lead a group, and the term.
    async fn view(&self, node: u16, group: u64) -> Option<(u64, u16)> {
        let status = self.field.cluster.status(node).await?;
        let mut groups = status.groups.iter();
        let group = groups.find(|candidate| candidate.group == group && candidate.hosted)?;
        Some((group.term, self.field.cluster.numbered(group.leader_node)?))
    }

    async fn eventually(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let clock = &self.field.env.clock;
        let until = clock.now() + PATIENCE;
        while !condition().await {
            assert!(clock.now() < until, "not in {PATIENCE:?}: {what}");
            clock.sleep(LOOK).await;
        }
    }

    /// A leader is cut from both others: they elect another, writes go on, and once healed all agree.
    async fn isolates_a_leader(&self) {
        let cluster = &self.field.cluster;
        let client = self.client().await;
        client.put("before", "the cut").await.unwrap();
        let (group, leader) = cluster.leaders().await.into_iter().next_back().unwrap();
        let (term, _) = self.view(leader, group).await.unwrap();
        let others: Vec<u16> = cluster.numbers().filter(|node| *node != leader).collect();
        let cut = |from, to| Cut {
            from: Party::Node(from),
            to: Party::Node(to),
            fault: LinkFault::Blackhole,
        };
        let cuts: Vec<Cut> = others
            .iter()
            .flat_map(|other| [cut(leader, *other), cut(*other, leader)])
            .collect();
        let overlay = self.field.net.lay(&cuts).unwrap();
        for other in &others {
            self.eventually("the others elect", async || {
                let view = self.view(*other, group).await;
                view.is_some_and(|(now, elected)| now > term && elected != leader)
            })
            .await;
        }
        for number in 0..20 {
            client.put(format!("during {number}"), "the cut").await.unwrap();
        }
        self.field.net.lift(overlay).unwrap();
        assert_eq!(cluster.recovered(PATIENCE).await.missing, None);
        self.eventually("all agree", async || {
            let mut views = BTreeSet::new();
            for node in cluster.numbers() {
                views.insert(self.view(node, group).await);
            }
            views.len() == 1 && !views.contains(&None)
        })
        .await;
        for key in ["before", "during 0", "during 19"] {
            let value = client.get(key).await.unwrap().unwrap();
            assert_eq!(value.bytes, "the cut", "{key}");
        }
    }

    /// Begins each variant, mends it, and sees the cluster recover and take a write. Gives those that were injected, with their
    /// stories.
    async fn suffers(&self, nemesis: &dyn Nemesis<Field>) -> Vec<(String, String)> {
        let client = self.client().await;
        let mut injected = Vec::new();
        for variant in nemesis.variants() {
            if nemesis.missing(&self.field.means(), variant).is_some() {
                continue;
            }
            let rng = Rng::seeded(injected.len() as u64);
            let fault = match nemesis.begin(&self.field, variant, &rng).await {
                Ok(fault) => fault,
                Err(Refusal::NotNow(why) | Refusal::Broken(why)) => panic!("{variant}: {why}"),
            };
            let what = fault.what();
            assert!(!what.is_empty());
            self.field.env.clock.sleep(Duration::from_secs(1)).await;
            fault.mend(&self.field).await.unwrap();
            let recovered = self.field.cluster.recovered(PATIENCE).await;
            assert_eq!(recovered.missing, None, "{variant}: {what}");
            let took = recovered.took;
            let story = format!(
                "{}/{variant}: {what}: well again after {took:?}",
                nemesis.family()
            );
            client.put("after", *variant).await.unwrap();
            let value = client.get("after").await.unwrap().unwrap();
            assert_eq!(value.bytes, *variant);
            injected.push(((*variant).to_owned(), story));
        }
        injected
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for node in self.field.cluster.numbers() {
            self.field.cluster.kill(node);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies_isolate_a_leader_and_heal() {
    let world = World::new(NetKind::Proxy, 3).await.unwrap();
    world.isolates_a_leader().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_isolate_a_leader_and_heal() {
    match World::new(NetKind::Netns, 3).await {
        Ok(world) => world.isolates_a_leader().await,
        Err(why) => {
            assert!(why.contains("--net proxy"), "{why}");
            println!("left out: {why}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_the_network_is_survived() {
    let world = World::new(NetKind::Proxy, 4).await.unwrap();
    for nemesis in [&Partition as &dyn Nemesis<Field>, &Packet] {
        let (injected, stories): (Vec<_>, Vec<_>) = world.suffers(nemesis).await.into_iter().unzip();
        println!("{}", stories.join("\n"));
        assert_eq!(injected, nemesis.variants());
    }
}

/// A node that is known under another address afterwards is found again, on all links.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_moves_and_its_links_with_it() {
    let world = World::new(NetKind::Proxy, 3).await.unwrap();
    let cluster = &world.field.cluster;
    let client = world.client().await;
    for _ in 0..3 {
        let before = cluster.address(2);
        let down = cluster.hold_down(2).unwrap();
        cluster.change_address(&down);
        cluster.up(down).unwrap();
        assert_ne!(cluster.address(2), before);
        assert_eq!(cluster.recovered(PATIENCE).await.missing, None);
        client.put("moved", before).await.unwrap();
    }
    // The links of its present place are cut, not those of an earlier one.
    let net: &dyn Net = &*world.field.net;
    let cut = |from, to| Cut {
        from,
        to,
        fault: LinkFault::Blackhole,
    };
    let others = [Party::Node(1), Party::Node(3)];
    let cuts = others.map(|other| [cut(other, Party::Node(2)), cut(Party::Node(2), other)]);
    let group = *cluster.leaders().await.keys().next_back().unwrap();
    let (term, _) = world.view(1, group).await.unwrap();
    let overlay = net.lay(cuts.as_flattened()).unwrap();
    if world.view(1, group).await.unwrap().1 == 2 {
        world
            .eventually("the others elect", async || {
                world.view(1, group).await.is_some_and(|(now, _)| now > term)
            })
            .await;
    }
    client.put("without", "it").await.unwrap();
    net.lift(overlay).unwrap();
    assert_eq!(cluster.recovered(PATIENCE).await.missing, None);
}

//! Real namespaces, where that is possible.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "sockets have to be made on threads that have entered a namespace"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);
/// TCP asks again after one second; whatever is not there in this time was dropped twice.
const CUT: Duration = Duration::from_millis(1500);

/// Does something as a process of this node would, or as a client.
fn inside<T: Send>(net: &NetnsNet, party: Party, work: impl FnOnce() -> T + Send) -> T {
    let place = match party {
        Party::Clients => None,
        Party::Node(node) => Some(Path::new("/run/netns").join(net.namespace(node))),
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if let Some(place) = place {
                let namespace = std::fs::File::open(place).unwrap();
                let namespace = std::os::fd::AsFd::as_fd(&namespace);
                move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network)).unwrap();
            }
            work()
        });
        thread.join().unwrap()
    })
}

fn dial(net: &NetnsNet, from: Party, to: u16, limit: Duration) -> io::Result<TcpStream> {
    let address = net.advertised(to, 0).parse().unwrap();
    inside(net, from, || TcpStream::connect_timeout(&address, limit))
}

/// A connection is made and carries bytes both ways.
fn whole(net: &NetnsNet, from: Party, to: u16, listener: &TcpListener) {
    let mut opener = dial(net, from, to, PATIENCE).unwrap();
    let (mut target, _) = listener.accept().unwrap();
    for stream in [&opener, &target] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    let mut answer = [0; 2];
    opener.write_all(b"hi").unwrap();
    target.read_exact(&mut answer).unwrap();
    target.write_all(&answer).unwrap();
    opener.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hi");
}

fn left(name: &str) -> bool {
    let list = ip(&["netns", "list"]).unwrap();
    list.lines().any(|line| line.starts_with(name))
}

/// One test, because all of it changes the same machine.
#[test]
fn directions_between_namespaces_are_cut_and_nothing_is_left() {
    if let Err(why) = command::available() {
        println!("left out: {why}");
        return;
    }
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let leftover = format!("{PREFIX}-{}-0-hub", ended.id());
    ip(&["netns", "add", &leftover]).unwrap();
    let net = NetnsNet::new(2).unwrap();
    assert!(!left(&leftover) && left(&net.name));

    let (one, two) = (Party::Node(1), Party::Node(2));
    let address = net.advertised(2, 0);
    let listener = inside(&net, two, || TcpListener::bind(address)).unwrap();
    for from in [one, Party::Clients] {
        whole(&net, from, 2, &listener);
    }

    for (dialer, other, from, to) in [
        (one, Party::Clients, one, two),
        (one, Party::Clients, two, one),
        (Party::Clients, one, Party::Clients, two),
        (Party::Clients, one, two, Party::Clients),
    ] {
        let cut = |fault| Cut { from, to, fault };
        let overlay = net.lay(&[cut(LinkFault::Blackhole)]).unwrap();
        let again = net.lay(&[cut(LinkFault::Blackhole)]).unwrap();
        // Of a cut that only takes answers the request is heard of: a connection that never gets its third packet.
        let error = dial(&net, dialer, 2, CUT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{from:?} {to:?}: {error}");
        whole(&net, other, 2, &listener);
        net.lift(overlay).unwrap();
        assert!(dial(&net, dialer, 2, CUT).is_err());
        net.lift(again).unwrap();
        whole(&net, dialer, 2, &listener);
    }

    let reset = net
        .lay(&[Cut {
            from: one,
            to: two,
            fault: LinkFault::Reset,
        }])
        .unwrap();
    let error = dial(&net, one, 2, PATIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    net.lift(reset).unwrap();
    whole(&net, one, 2, &listener);

    let drip = Cut {
        from: one,
        to: two,
        fault: LinkFault::Drip,
    };
    assert!(net.lay(&[drip]).unwrap_err().to_string().contains("proxies"));

    let (name, interface) = (net.name.clone(), net.interface.clone());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _net = net;
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert!(!left(&name));
    assert!(ip(&["link", "show", &interface]).is_err());
}

#[test]
fn only_names_of_ours_are_ever_taken_away() {
    for (name, process) in [
        ("atoll-12-0-hub", Some(12)),
        ("atoll-4194304-7-16", Some(4_194_304)),
        ("atoll-12-0", None),
        ("atoll-x-0-hub", None),
        ("atoll-12-0-hub-more", None),
        ("atoll-12-0-other", None),
        ("other-12-0-hub", None),
        ("", None),
    ] {
        assert_eq!(maker(name), process, "{name}");
    }
    assert_eq!(namespace_name("atoll-1-0-hub (id: 3)"), Some("atoll-1-0-hub"));
}

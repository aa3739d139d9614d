"""A tour of Atoll from Python: put, get, compare-and-set, batch, increment, scan over all groups, errors.

usage: tour.py host:port,host:port,...
"""

import sys

from client import Client, Kind, Refused, Session, detail_of
import grpc

from atoll.v1 import kv_pb2, kv_pb2_grpc

Operation = kv_pb2.WriteOp


def put_and_get(client):
    version = client.put(b"greeting", b"hello")
    reply = client.get(b"greeting")
    assert (reply.value, reply.version) == (b"hello", version)
    print(f"greeting is {reply.value!r}, read from replica {reply.proof.replica} of group {reply.proof.group}")
    assert not client.get(b"no such key").found


def compare_and_set(client):
    version = client.get(b"greeting").version
    done, newer = client.compare_and_set(b"greeting", version, b"good morning")
    assert done and newer > version
    done, found = client.compare_and_set(b"greeting", version, b"too late")
    assert not done and found == newer
    print("compare-and-set: the second one was refused, because the version had moved on")


def batch(client, session):
    """Two accounts, one {tag}, so one slot: both change or none."""
    alice, bob = b"{bank}alice", b"{bank}bob"
    session.write([Operation(key=alice, value=b"100"), Operation(key=bob, value=b"0")])
    unchanged = kv_pb2.Guard(key=alice, version=client.get(alice).version)
    transfer = [Operation(key=alice, value=b"60"), Operation(key=bob, value=b"40")]
    assert session.write(transfer, [unchanged]).applied
    refused = session.write(transfer, [unchanged])
    assert not refused.applied and refused.failed_guard == 0
    assert client.get(bob).value == b"40"
    print("batch: 40 went from alice to bob, once")


def increment(client, session):
    """Sending the very same request again, as after a lost answer, changes nothing."""
    visits = b"visits"
    for expected in range(1, 6):
        reply = session.write([Operation(kind=Operation.INCREMENT, key=visits, number=1)])
        assert reply.number == expected, reply
    again = kv_pb2.WriteRequest(
        ops=[Operation(kind=Operation.INCREMENT, key=visits, number=1)], session=session._numbered(session.last)
    )
    assert client.kv("Write", again, may_repeat=True).number == 5
    assert client.get(visits).value == b"5"
    print("increment: 5 visits; a repeated request was not counted twice")


def scan(client):
    keys = [b"user:%03d" % number for number in range(250)]
    for key in keys:
        client.put(key, key.upper())
    groups = {client.get(key).proof.group for key in keys[:50]}
    assert len(groups) > 1, "the keys are spread over groups"
    rows = list(client.scan(b"user:", b"user;", page=20))
    assert [row.key for row in rows] == keys
    assert all(row.value == row.key.upper() for row in rows)
    print(f"scan: {len(rows)} rows in order, merged from {len(groups)} groups")


def errors(client):
    stub = kv_pb2_grpc.KvStub(client.channels[0])
    try:
        stub.Put(kv_pb2.PutRequest(key=b"", value=b"x"), timeout=20)
        raise AssertionError("an empty key was taken")
    except grpc.RpcError as error:
        detail = detail_of(error)
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert detail is not None and detail.kind == Kind.INVALID
        print(f"an error: {error.code().name}, kind {Kind.Name(detail.kind)}: {detail.message}")
    try:
        client.put(b"k" * 5000, b"")
        raise AssertionError("a key of 5000 bytes was taken")
    except Refused as refused:
        print("refused:", refused)


def one_node_is_away(endpoints):
    """The rule at work: an endpoint where nobody listens costs a moment and nothing else."""
    client = Client(["127.0.0.1:1", *endpoints])
    assert client.get(b"greeting").found
    session = Session(client)
    client.turn = 0
    assert session.write([Operation(key=b"greeting", value=b"bye")]).applied
    print("a node that is away: reads and numbered writes went to the next one")


def main():
    endpoints = sys.argv[1].split(",")
    client = Client(endpoints)
    session = Session(client)
    put_and_get(client)
    compare_and_set(client)
    batch(client, session)
    increment(client, session)
    scan(client)
    errors(client)
    one_node_is_away(endpoints)
    print("tour: all well")


main()

"""A small client over the public proto files: what a caller without a client library has to know.

Any node takes any unary call and passes it on to the node that leads the key's group. What is left to
the caller is to tell failures apart, and to repeat only what may be repeated.
"""

import heapq
import random
import time

import grpc
from grpc_status import rpc_status

from atoll.v1 import admin_pb2, admin_pb2_grpc, kv_pb2, kv_pb2_grpc

Kind = kv_pb2.ErrorDetail.Kind

# The write or read certainly did not happen, and may if it is sent again.
DID_NOT_HAPPEN = {Kind.NOT_LEADER, Kind.NOT_OWNER, Kind.OVERLOADED, Kind.DEADLINE, Kind.UNAVAILABLE}
# Nobody can tell whether a write happened.
UNKNOWN = {Kind.UNKNOWN_OUTCOME, Kind.INTERNAL, Kind.UNSPECIFIED}


class Refused(Exception):
    """It did not happen, and sending it again would not help, or did not within the caller's patience."""


class UnknownOutcome(Exception):
    """It may have happened. Read, then decide; or write with a `Session`, which may be repeated."""


def detail_of(error):
    """The ErrorDetail of a failed call; None if the answer is not Atoll's (no connection, no answer in time)."""
    status = rpc_status.from_call(error)
    for packed in status.details if status else []:
        detail = kv_pb2.ErrorDetail()
        if packed.Unpack(detail):
            return detail
    return None


class Client:
    """Calls the nodes of one cluster, another one after each failure."""

    def __init__(self, endpoints, patience=30):
        self.channels = [grpc.insecure_channel(endpoint) for endpoint in endpoints]
        self.patience = patience
        self.turn = 0

    def call(self, service, method, request, may_repeat):
        """The retry rule: a write that may have happened is sent again only if a session makes that safe."""
        deadline = time.monotonic() + self.patience
        pause = 0.05
        while True:
            channel = self.channels[self.turn % len(self.channels)]
            left = max(deadline - time.monotonic(), 0.001)
            try:
                return getattr(service(channel), method)(request, timeout=left)
            except grpc.RpcError as error:
                detail, code, text = detail_of(error), error.code(), error.details()
            kind = detail.kind if detail else Kind.UNSPECIFIED
            # Without a detail nobody of Atoll spoke: the call may have reached a node all the same. These two
            # codes are given before a call is looked at.
            if detail is None and code in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INVALID_ARGUMENT):
                raise Refused(text)
            if kind in UNKNOWN and not may_repeat:
                raise UnknownOutcome(text)
            if kind not in UNKNOWN and kind not in DID_NOT_HAPPEN:
                raise Refused(f"{Kind.Name(kind)}: {text}")
            wait = max(pause * random.uniform(0.5, 1.5), detail.retry_after_ms / 1000 if detail else 0)
            if time.monotonic() + wait >= deadline:
                raise (UnknownOutcome if kind in UNKNOWN else Refused)(text)
            time.sleep(wait)
            pause = min(pause * 2, 1)
            self.turn += 1

    def kv(self, method, request, may_repeat):
        return self.call(kv_pb2_grpc.KvStub, method, request, may_repeat)

    def put(self, key, value):
        """Returns the version. Raises UnknownOutcome if nobody can tell."""
        return self.kv("Put", kv_pb2.PutRequest(key=key, value=value), may_repeat=False).version

    def get(self, key):
        """A GetReply: found, value, version, and the proof which replica of which group answered."""
        return self.kv("Get", kv_pb2.GetRequest(key=key), may_repeat=True)

    def compare_and_set(self, key, expected, value):
        """(True, new version) or (False, version found); expected 0 means absent."""
        request = kv_pb2.CompareAndSetRequest(key=key, expected=expected, value=value)
        reply = self.kv("CompareAndSet", request, may_repeat=False)
        return reply.applied, reply.version

    def map(self):
        """Which group has which slots, and who leads it."""
        request = admin_pb2.GetMapRequest(known_epoch=0)
        return self.call(admin_pb2_grpc.AdminStub, "GetMap", request, may_repeat=True).map

    def scan(self, start=b"", end=b"", page=100):
        """All rows of [start, end) in key order, over all groups. Not a snapshot."""
        groups = {run.group for run in self.map().slots}
        return heapq.merge(
            *(self._scan_group(group, start, end, page) for group in sorted(groups)), key=lambda row: row.key
        )

    def _scan_group(self, group, start, end, page):
        while True:
            request = kv_pb2.ScanRequest(group=group, start=start, end=end, limit=page)
            reply = self.kv("Scan", request, may_repeat=True)
            yield from reply.rows
            if not reply.more:
                return
            # The next key there can be.
            start = reply.rows[-1].key + b"\0"


class Session:
    """Numbers its writes, so that a write sent twice is applied once. One write at a time."""

    def __init__(self, client):
        self.client = client
        self.high, self.low = random.getrandbits(64), random.getrandbits(64)
        self.last = 0
        self.open_in = set()

    def write(self, operations, guards=()):
        """A batch on keys of one slot (the same {tag}), all or nothing: a WriteReply."""
        proof = self.client.get(operations[0].key).proof
        self._open(proof)
        self.last += 1
        request = kv_pb2.WriteRequest(ops=operations, guards=guards, session=self._numbered(self.last))
        return self.client.kv("Write", request, may_repeat=True)

    def _numbered(self, number):
        # Every number below `ack` is finished here: no more is said of it, and its outcome can be forgotten.
        return kv_pb2.Session(client_high=self.high, client_low=self.low, seq=number, ack=number)

    def _open(self, proof):
        """Once per group, with a version just read from it; the same request if it has to be repeated."""
        if proof.group in self.open_in:
            return
        request = kv_pb2.OpenSessionRequest(
            client_high=self.high, client_low=self.low, group=proof.group, version=proof.version
        )
        self.client.kv("OpenSession", request, may_repeat=True)
        self.open_in.add(proof.group)

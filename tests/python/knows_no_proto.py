"""A client that knows no proto file: it asks the server what there is, and calls that.

usage: knows_no_proto.py host:port,host:port,...
"""

import sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

PATIENCE = 60
SERVICES = {
    "atoll.v1.Admin",
    "atoll.v1.Kv",
    "atoll.v1.Peer",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}


class Anything:
    """Calls methods by name, with messages made from what reflection tells."""

    def __init__(self, channel):
        self.channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def message(self, name, **fields):
        kind = message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))
        return kind(**fields)

    def _prepared(self, service, method, kind, fields):
        found = self.pool.FindServiceByName(service).FindMethodByName(method)
        reply = message_factory.GetMessageClass(found.output_type)
        call = getattr(self.channel, kind)(
            f"/{service}/{method}",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=reply.FromString,
        )
        return call, self.message(found.input_type.full_name, **fields)

    def call(self, service, method, /, *, timeout=20, **fields):
        call, request = self._prepared(service, method, "unary_unary", fields)
        return call(request, timeout=timeout)

    def stream(self, service, method, /, *, timeout=PATIENCE, **fields):
        call, request = self._prepared(service, method, "unary_stream", fields)
        return call(request, timeout=timeout)


def expect_code(code, call, *arguments, **fields):
    try:
        call(*arguments, **fields)
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} instead of {code}: {error.details()}"
        return error
    raise AssertionError(f"{arguments} was answered, not refused with {code}")


def wait_until_serving(tool):
    statuses = []
    for reply in tool.stream("grpc.health.v1.Health", "Watch", service="atoll.v1.Kv"):
        names = reply.DESCRIPTOR.enum_types_by_name["ServingStatus"].values_by_number
        statuses.append(names[reply.status].name)
        if statuses[-1] == "SERVING":
            print("health of atoll.v1.Kv:", " -> ".join(statuses))
            return
    raise AssertionError(f"the watch ended after {statuses}")


def check_reflection(tool, channel):
    services = set(tool.database.get_services())
    assert services == SERVICES, services
    kv = tool.pool.FindServiceByName("atoll.v1.Kv")
    methods = [method.name for method in kv.methods]
    print("atoll.v1.Kv has", ", ".join(methods))
    assert {"Put", "Get", "Write", "Scan", "Pipe"} <= set(methods)
    get = tool.pool.FindMessageTypeByName("atoll.v1.GetReply")
    fields = {field.name: field.number for field in get.fields}
    print("atoll.v1.GetReply has", fields)
    assert fields["value"] == 2
    # A file comes with what it imports.
    tool.pool.FindFileByName("google/rpc/status.proto")
    for missing in (tool.pool.FindMessageTypeByName, tool.pool.FindServiceByName, tool.pool.FindFileByName):
        try:
            missing("atoll.v1.Nothing")
            raise AssertionError("found what is not there")
        except KeyError:
            pass
    check_reflection_protocol(channel, "v1alpha")
    check_reflection_protocol(channel, "v1")


def check_reflection_protocol(channel, version):
    """Every kind of request, in one stream; both versions are the same on the wire."""
    ask = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest
    extension = reflection_pb2.ExtensionRequest
    good = [
        (request(list_services=""), "list_services_response"),
        (request(file_by_filename="atoll/v1/kv.proto"), "file_descriptor_response"),
        (request(file_containing_symbol="atoll.v1.WriteOp.Kind"), "file_descriptor_response"),
        (request(file_containing_symbol="atoll.v1.Kv.Put"), "file_descriptor_response"),
        (request(all_extension_numbers_of_type="atoll.v1.GetRequest"), "all_extension_numbers_response"),
    ]
    missing = [
        request(file_by_filename="no/such.proto"),
        request(file_containing_symbol="no.such.Symbol"),
        request(
            file_containing_extension=extension(containing_type="atoll.v1.GetRequest", extension_number=9)
        ),
        request(all_extension_numbers_of_type="no.such.Message"),
    ]
    questions = [question for question, _ in good] + missing
    answers = list(ask(iter(questions), timeout=20))
    assert len(answers) == len(questions)
    for (question, kind), answer in zip(good, answers):
        assert answer.WhichOneof("message_response") == kind, (question, answer)
        assert answer.original_request == question
    for question, answer in zip(missing, answers[len(good) :]):
        assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0], (question, answer)


def check_data(tool):
    kv = "atoll.v1.Kv"
    key, value = b"from-python", b"without a proto file"
    written = tool.call(kv, "Put", key=key, value=value)
    assert written.applied and written.version > 0
    read = tool.call(kv, "Get", key=key)
    assert (read.found, read.value, read.version) == (True, value, written.version)
    operation = tool.message("atoll.v1.WriteOp", key=b"{from-python}2", value=b"in a batch")
    guard = tool.message("atoll.v1.Guard", key=b"{from-python}2", version=0)
    written = tool.call(kv, "Write", ops=[operation], guards=[guard])
    assert written.applied
    written = tool.call(kv, "Write", ops=[operation], guards=[guard])
    assert not written.applied and written.version > 0, "the key exists now"
    # One page of the group that has the first key; `Get` said which.
    page = tool.call(kv, "Scan", group=read.proof.group, start=key, end=key + b"\0")
    assert [(row.key, row.value) for row in page.rows] == [(key, value)]
    status = tool.call("atoll.v1.Admin", "Status")
    assert status.state == "serving" and len(status.nodes) == 3
    print(f"cluster {status.cluster_id}: {len(status.nodes)} nodes, {len(status.groups) - 1} data groups")


def check_health(tool):
    health = "grpc.health.v1.Health"
    for service in ("", "atoll.v1.Kv", "atoll.v1.Admin"):
        assert tool.call(health, "Check", service=service).status == 1, service
    expect_code(grpc.StatusCode.NOT_FOUND, tool.call, health, "Check", service="no.such.Service")
    watch = tool.stream(health, "Watch", service="no.such.Service")
    assert next(watch).status == 3, "SERVICE_UNKNOWN"
    watch.cancel()
    # Nothing changes any more, so that only the time limit ends it, after the status of now.
    watch = tool.stream(health, "Watch", service="atoll.v1.Kv", timeout=3)
    assert next(watch).status == 1, "SERVING"
    expect_code(grpc.StatusCode.DEADLINE_EXCEEDED, next, watch)


def check_codes(tool, channel):
    """What a stock client sees of failures."""
    kv = "atoll.v1.Kv"
    expect_code(grpc.StatusCode.INVALID_ARGUMENT, tool.call, kv, "Put", key=b"", value=b"x")
    expect_code(grpc.StatusCode.INVALID_ARGUMENT, tool.call, kv, "Put", key=b"k", value=bytes((1 << 20) + 1))
    large = expect_code(
        grpc.StatusCode.RESOURCE_EXHAUSTED, tool.call, kv, "Put", key=b"k", value=bytes((8 << 20) + 1)
    )
    assert "at most" in large.details(), large.details()
    unknown = channel.unary_unary("/atoll.v1.Kv/NoSuchMethod")
    expect_code(grpc.StatusCode.UNIMPLEMENTED, unknown, b"", timeout=20)
    elsewhere = channel.unary_unary("/no.such.Service/Method")
    expect_code(grpc.StatusCode.UNIMPLEMENTED, elsewhere, b"", timeout=20)
    garbage = channel.unary_unary("/atoll.v1.Kv/Get")
    expect_code(grpc.StatusCode.INVALID_ARGUMENT, garbage, b"\xff" * 9, timeout=20)
    squeezed = channel.unary_unary("/atoll.v1.Kv/Get")
    expect_code(
        grpc.StatusCode.UNIMPLEMENTED, squeezed, b"\n\x01k" * 99, timeout=20, compression=grpc.Compression.Gzip
    )
    pipe = channel.stream_stream("/atoll.v1.Kv/Pipe")
    expect_code(grpc.StatusCode.INVALID_ARGUMENT, lambda: list(pipe(iter([b"\xff" * 9]), timeout=20)))


def main():
    for endpoint in sys.argv[1].split(","):
        with grpc.insecure_channel(endpoint) as channel:
            grpc.channel_ready_future(channel).result(timeout=PATIENCE)
            tool = Anything(channel)
            wait_until_serving(tool)
            check_reflection(tool, channel)
            check_health(tool)
            check_data(tool)
            tool.call("atoll.v1.Kv", "Delete", key=b"from-python")
            tool.call("atoll.v1.Kv", "Delete", key=b"{from-python}2")
            check_codes(tool, channel)
    print("knows_no_proto: all well")


main()

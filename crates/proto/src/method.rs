//! Method names, as gRPC spells them.

/// `Kv.Put`
pub const PUT: &str = "/atoll.v1.Kv/Put";
/// `Kv.Delete`
pub const DELETE: &str = "/atoll.v1.Kv/Delete";
/// `Kv.CompareAndSet`
pub const COMPARE_AND_SET: &str = "/atoll.v1.Kv/CompareAndSet";
/// `Kv.Write`
pub const WRITE: &str = "/atoll.v1.Kv/Write";
/// `Kv.Get`
pub const GET: &str = "/atoll.v1.Kv/Get";
/// `Kv.MultiGet`
pub const MULTI_GET: &str = "/atoll.v1.Kv/MultiGet";
/// `Kv.Scan`
pub const SCAN: &str = "/atoll.v1.Kv/Scan";
/// `Kv.OpenSession`
pub const OPEN_SESSION: &str = "/atoll.v1.Kv/OpenSession";
/// `Kv.Pipe`, a stream.
pub const PIPE: &str = "/atoll.v1.Kv/Pipe";
/// `Admin.Init`
pub const INIT: &str = "/atoll.v1.Admin/Init";
/// `Admin.Status`
pub const STATUS: &str = "/atoll.v1.Admin/Status";
/// `Admin.GetMap`
pub const GET_MAP: &str = "/atoll.v1.Admin/GetMap";
/// `Admin.TransferLeader`
pub const TRANSFER_LEADER: &str = "/atoll.v1.Admin/TransferLeader";
/// `Peer.Hello`
pub const HELLO: &str = "/atoll.v1.Peer/Hello";
/// `Peer.Claim`
pub const CLAIM: &str = "/atoll.v1.Peer/Claim";
/// `Peer.Admit`
pub const ADMIT: &str = "/atoll.v1.Peer/Admit";
/// `Peer.Join`
pub const JOIN: &str = "/atoll.v1.Peer/Join";
/// `Peer.Forward`
pub const FORWARD: &str = "/atoll.v1.Peer/Forward";
/// `Peer.Raft`, a stream.
pub const RAFT: &str = "/atoll.v1.Peer/Raft";
/// `grpc.health.v1.Health.Check`
pub const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
/// `grpc.health.v1.Health.Watch`, a stream.
pub const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";
/// `grpc.reflection.v1.ServerReflection.ServerReflectionInfo`, a stream.
pub const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// The same under its older name.
pub const REFLECTION_ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

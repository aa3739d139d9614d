//! The small files' bytes.

use atoll_types::{ClusterId, NodeId, NodeUuid};

use super::claim::{Claim, MEMBERS_MAX, Member};
use crate::codec::{Malformed, Reader, Writer};

const MAGIC: &[u8; 4] = b"ATOL";
/// Format of the whole directory (journal included), as `IDENT` records it.
const FORMAT: u32 = 1;
/// Node, uuid and the length of an address. Zones come after all members.
const MEMBER_BYTES_MIN: usize = 8 + 16 + 2;

/// Bytes of a small file, at most: the longest claim has room.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

const _: () = assert!(
    (MEMBER_BYTES_MIN + super::claim::ADDRESS_BYTES_MAX + 2 + super::claim::ZONE_BYTES_MAX) * MEMBERS_MAX
        < FILE_BYTES_MAX as usize
);

/// Who an admitted directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ident {
    /// The cluster.
    pub(crate) cluster: ClusterId,
    /// The node.
    pub(crate) node: NodeId,
}

/// The promise of a directory to an existing cluster, made before it is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Join(pub(super) Ident);

/// Name of the file that says so.
pub(crate) const SEALED: &str = "SEALED";

/// The files of the directory that hold users' data are encrypted, from the first one on. It is written before `UUID` and never
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sealed;

/// What a start remembers for the next one; never trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    /// How often the directory was started.
    pub(crate) starts: u64,
    /// Where other nodes were.
    pub(crate) nodes: Vec<Member>,
}

/// A kind of small file.
pub(super) trait SmallFile: Sized {
    const NAME: &'static str;
    const KIND: u8;
    /// The version written. It and all below are read.
    const VERSION: u8 = 1;
    fn write(&self, body: &mut Writer);
    fn read(body: &mut Reader<'_>, version: u8) -> Result<Self, Malformed>;
}

/// The whole file.
pub(super) fn encode<T: SmallFile>(value: &T) -> Vec<u8> {
    let mut body = Writer::default();
    value.write(&mut body);
    let body = body.finish();
    let mut file = Writer::default();
    file.bytes(MAGIC);
    file.u8(T::KIND);
    file.u8(T::VERSION);
    file.u16(0);
    file.u32(body.len() as u32);
    file.bytes(&body);
    let mut bytes = file.finish();
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// The inverse of [`encode`]. The version is looked at before the checksum: another version may
/// have another checksum.
pub(super) fn decode<T: SmallFile>(bytes: &[u8]) -> Result<T, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.bytes(MAGIC.len())? != MAGIC || reader.u8()? != T::KIND {
        return Err(Malformed::new("it is not a file of this kind"));
    }
    let version = reader.u8()?;
    if !(1..=T::VERSION).contains(&version) {
        return Err(newer("it has format version", version.into(), T::VERSION.into()));
    }
    let sum_at = bytes.len().saturating_sub(4);
    let (covered, sum) = bytes.split_at(sum_at);
    if crc32fast::hash(covered).to_le_bytes() != sum {
        return Err(Malformed::new("its checksum does not match: it was damaged"));
    }
    let (zero, len) = (reader.u16()?, reader.u32()?);
    let mut body = Reader::new(reader.bytes(len as usize)?);
    reader.bytes(4)?;
    reader.end()?;
    if zero != 0 {
        return Err(Malformed::new("reserved bytes are set"));
    }
    let value = T::read(&mut body, version)?;
    body.end()?;
    Ok(value)
}

/// What a format of the future is answered with.
fn newer(what: &str, found: u32, known: u32) -> Malformed {
    Malformed(format!(
        "{what} {found}, and this program ({}) knows up to {known}: a newer Atoll wrote it; start the node with that \
         version or a later one, or a new node in an empty directory",
        env!("CARGO_PKG_VERSION")
    ))
}

impl SmallFile for NodeUuid {
    const NAME: &'static str = "UUID";
    const KIND: u8 = 1;

    fn write(&self, body: &mut Writer) {
        body.u128(self.0);
    }

    fn read(body: &mut Reader<'_>, _: u8) -> Result<Self, Malformed> {
        body.u128().map(Self)
    }
}

impl SmallFile for Claim {
    const NAME: &'static str = "CLAIM";
    const KIND: u8 = 2;
    /// 1 had no zones.
    const VERSION: u8 = 2;

    fn write(&self, body: &mut Writer) {
        body.u128(self.cluster.0);
        body.u32(self.groups);
        write_members(&self.members, body);
        self.members.iter().for_each(|member| body.text(&member.zone));
    }

    fn read(body: &mut Reader<'_>, version: u8) -> Result<Self, Malformed> {
        let mut claim = Self {
            cluster: ClusterId(body.u128()?),
            groups: body.u32()?,
            members: read_members(body)?,
        };
        if version > 1 {
            for member in &mut claim.members {
                member.zone = body.text()?;
            }
        }
        claim.check().map_err(Malformed)?;
        Ok(claim)
    }
}

impl SmallFile for Ident {
    const NAME: &'static str = "IDENT";
    const KIND: u8 = 3;

    fn write(&self, body: &mut Writer) {
        body.u128(self.cluster.0);
        body.u64(self.node.0);
        body.u32(FORMAT);
    }

    fn read(body: &mut Reader<'_>, _: u8) -> Result<Self, Malformed> {
        let ident = Self {
            cluster: ClusterId(body.u128()?),
            node: NodeId(body.u64()?),
        };
        match body.u32()? {
            FORMAT => Ok(ident),
            other => Err(newer("the directory has format", other, FORMAT)),
        }
    }
}

impl SmallFile for Join {
    const NAME: &'static str = "JOIN";
    const KIND: u8 = 5;

    fn write(&self, body: &mut Writer) {
        body.u128(self.0.cluster.0);
        body.u64(self.0.node.0);
    }

    fn read(body: &mut Reader<'_>, _: u8) -> Result<Self, Malformed> {
        Ok(Self(Ident {
            cluster: ClusterId(body.u128()?),
            node: NodeId(body.u64()?),
        }))
    }
}

impl SmallFile for Sealed {
    const NAME: &'static str = SEALED;
    const KIND: u8 = 6;

    fn write(&self, _: &mut Writer) {}

    fn read(_: &mut Reader<'_>, _: u8) -> Result<Self, Malformed> {
        Ok(Self)
    }
}

impl SmallFile for Hints {
    const NAME: &'static str = "ADDRESSES";
    const KIND: u8 = 4;

    fn write(&self, body: &mut Writer) {
        body.u64(self.starts);
        write_members(&self.nodes, body);
    }

    fn read(body: &mut Reader<'_>, _: u8) -> Result<Self, Malformed> {
        Ok(Self {
            starts: body.u64()?,
            nodes: read_members(body)?,
        })
    }
}

fn write_members(members: &[Member], body: &mut Writer) {
    body.u32(members.len() as u32);
    for member in members {
        body.u64(member.node.0);
        body.u128(member.uuid.0);
        body.text(&member.address);
    }
}

fn read_members(body: &mut Reader<'_>) -> Result<Vec<Member>, Malformed> {
    let count = body.count(MEMBER_BYTES_MIN)?;
    (0..count)
        .map(|_| {
            Ok(Member {
                node: NodeId(body.u64()?),
                uuid: NodeUuid(body.u128()?),
                address: body.text()?,
                zone: String::new(),
            })
        })
        .collect()
}

//! What a read asks to be promised.

use atoll_proto::v1;
use atoll_types::limits::{SESSION_TOKEN_BYTES_MAX, SESSION_TOKEN_MARKS_MAX};
use atoll_types::{GroupGen, GroupId};
use prost::Message;

use super::super::fields;
use crate::shard::{Consistency, Failure, Mark};

/// A promise, before it is known which group answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The same for every group.
    Plain(Consistency),
    /// What the session has seen of each group.
    Session(Vec<(GroupId, Mark)>),
}

impl Level {
    /// The promise of a request; without options, the strongest.
    pub(super) fn of(options: Option<&v1::ReadOptions>) -> Result<Self, Failure> {
        let Some(options) = options else {
            return Ok(Self::Plain(Consistency::Linearizable));
        };
        let number = options.consistency;
        match v1::Consistency::try_from(number) {
            Ok(v1::Consistency::Linearizable) => Ok(Self::Plain(Consistency::Linearizable)),
            Ok(v1::Consistency::Eventual) => Ok(Self::Plain(Consistency::Eventual)),
            Ok(v1::Consistency::Bounded) => Ok(Self::Plain(Consistency::Bounded {
                max_age_ms: options.max_age_ms,
            })),
            Ok(v1::Consistency::Session) => marks(&options.token).map(Self::Session),
            Err(_) => Err(Failure::Invalid(format!("consistency {number} is unknown"))),
        }
    }

    /// The promise as one group has to keep it.
    pub(super) fn for_group(&self, group: GroupId) -> Consistency {
        match self {
            Self::Plain(consistency) => *consistency,
            Self::Session(marks) => {
                let of_group = marks.iter().filter(|(marked, _)| *marked == group);
                // A token put together from several may name a group twice.
                Consistency::Session(of_group.map(|(_, mark)| *mark).max())
            }
        }
    }
}

/// The marks of an encoded token. Its map epoch is for the holder, who asks by a map at least that new.
fn marks(token: &[u8]) -> Result<Vec<(GroupId, Mark)>, Failure> {
    if token.len() > SESSION_TOKEN_BYTES_MAX {
        return Err(Failure::Invalid(format!(
            "a session token has at most {SESSION_TOKEN_BYTES_MAX} bytes, not {}",
            token.len()
        )));
    }
    let malformed = |error: prost::DecodeError| {
        Failure::Invalid(format!(
            "the session token cannot be decoded: {error}; send one that a client made, unchanged"
        ))
    };
    // Counted first: a mark of two bytes becomes two dozen in memory.
    if fields::count(token).map_err(malformed)? > SESSION_TOKEN_MARKS_MAX + 1 {
        return Err(Failure::Invalid(format!(
            "a session token has at most {SESSION_TOKEN_MARKS_MAX} marks: drop those of groups that are gone"
        )));
    }
    let token = v1::SessionToken::decode(token).map_err(malformed)?;
    let marks = token.marks.into_iter().map(|mark| {
        let v1::GroupMark {
            group,
            generation,
            applied_index,
        } = mark;
        let mark = Mark {
            generation: GroupGen(generation),
            applied_index,
        };
        (GroupId(group), mark)
    });
    Ok(marks.collect())
}

#[cfg(test)]
mod tests {
    use super::super::invalid;
    use super::*;

    fn options(consistency: v1::Consistency) -> v1::ReadOptions {
        v1::ReadOptions {
            consistency: consistency.into(),
            max_age_ms: 70,
            ..v1::ReadOptions::default()
        }
    }

    fn session(token: Vec<u8>) -> Result<Level, Failure> {
        Level::of(Some(&v1::ReadOptions {
            token: token.into(),
            ..options(v1::Consistency::Session)
        }))
    }

    fn mark(group: u64, generation: u32, applied_index: u64) -> v1::GroupMark {
        v1::GroupMark {
            group,
            generation,
            applied_index,
        }
    }

    fn token(marks: Vec<v1::GroupMark>) -> Vec<u8> {
        let token = v1::SessionToken { map_epoch: 3, marks };
        token.encode_to_vec()
    }

    #[test]
    fn every_level_is_known_and_nothing_else() {
        let level = |consistency| Level::of(Some(&options(consistency))).unwrap();
        let plain = Level::Plain;
        assert_eq!(Level::of(None).unwrap(), plain(Consistency::Linearizable));
        assert_eq!(
            level(v1::Consistency::Linearizable),
            plain(Consistency::Linearizable)
        );
        assert_eq!(level(v1::Consistency::Eventual), plain(Consistency::Eventual));
        let bounded = Consistency::Bounded { max_age_ms: 70 };
        assert_eq!(level(v1::Consistency::Bounded), plain(bounded));
        assert_eq!(level(v1::Consistency::Session), Level::Session(Vec::new()));
        invalid(Level::of(Some(&v1::ReadOptions {
            consistency: 9,
            ..v1::ReadOptions::default()
        })));
    }

    #[test]
    fn each_group_gets_its_own_highest_mark() {
        let level = session(token(vec![
            mark(1, 1, 50),
            mark(2, 1, 9),
            mark(1, 2, 5),
            mark(1, 1, 70),
        ]))
        .unwrap();
        let expected = |generation, applied_index| {
            Consistency::Session(Some(Mark {
                generation: GroupGen(generation),
                applied_index,
            }))
        };
        assert_eq!(level.for_group(GroupId(1)), expected(2, 5));
        assert_eq!(level.for_group(GroupId(2)), expected(1, 9));
        assert_eq!(level.for_group(GroupId(3)), Consistency::Session(None));
    }

    #[test]
    fn malformed_and_oversized_tokens_are_refused() {
        let good = token(vec![mark(1, 1, u64::MAX); 3]);
        assert!(session(good.clone()).is_ok());
        for cut in 1..good.len() {
            if let Ok(Level::Session(marks)) = session(good[..cut].to_vec()) {
                assert!(marks.len() < 3, "cut at {cut}");
            }
        }
        assert!(invalid(session(good[..good.len() - 1].to_vec())).contains("token"));
        invalid(session(vec![0xff; 20]));
        assert!(session(token(vec![mark(1, 1, 1); SESSION_TOKEN_MARKS_MAX])).is_ok());
        assert!(invalid(session(token(vec![mark(1, 1, 1); SESSION_TOKEN_MARKS_MAX + 1]))).contains("4096"));
        // Two bytes a mark.
        invalid(session(token(vec![mark(0, 0, 0); SESSION_TOKEN_BYTES_MAX / 2])));
        invalid(session(vec![0; SESSION_TOKEN_BYTES_MAX + 1]));
    }
}

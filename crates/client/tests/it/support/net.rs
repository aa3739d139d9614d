//! Links into the [`World`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::{CallError, Code, Handler, Link, LinkReceiver, LinkSender, Net, Serving, Status};
use atoll_env::{BoxFuture, Clock, Spawn};
use atoll_proto::method;
use atoll_proto::v1::{GetMapReply, GetMapRequest, PipeReply, PipeReplyItem, PipeRequest};
use bytes::Bytes;
use futures_util::stream;
use prost::Message;
use tokio::sync::mpsc;

use super::World;
use super::world::Frame;

pub(crate) struct FakeNet {
    world: Arc<World>,
    spawn: Spawn,
    clock: Clock,
}

impl FakeNet {
    pub(crate) fn new(world: Arc<World>, spawn: Spawn, clock: Clock) -> Self {
        Self { world, spawn, clock }
    }
}

impl Net for FakeNet {
    fn call(
        &self,
        to: &str,
        name: &'static str,
        request: Bytes,
        _: Duration,
    ) -> BoxFuture<'static, Result<Bytes, CallError>> {
        let reply = if !self.world.is_up(to) {
            Err(CallError::NotSent("nobody listens".to_owned()))
        } else if name == method::GET_MAP {
            let known = GetMapRequest::decode(request).unwrap().known_epoch;
            Ok(GetMapReply {
                map: self.world.map_newer_than(known),
            }
            .encode_to_vec()
            .into())
        } else {
            Err(CallError::Status(Status::new(
                Code::Unimplemented,
                "no such method",
            )))
        };
        Box::pin(async { reply })
    }

    fn open(
        &self,
        to: &str,
        name: &'static str,
        lane: u8,
        _: Duration,
    ) -> BoxFuture<'static, Result<Link, CallError>> {
        assert_eq!(name, method::PIPE);
        if !self.world.is_up(to) {
            return Box::pin(async { Err(CallError::NotSent("nobody listens".to_owned())) });
        }
        let (requests, from_client) = mpsc::channel(4);
        let (replies, to_client) = mpsc::channel::<Bytes>(64);
        let outside = (self.spawn.clone(), self.clock.clone());
        let serving = serve(
            Arc::clone(&self.world),
            (to.to_owned(), lane),
            outside,
            from_client,
            replies,
        );
        self.spawn.spawn(serving);
        let frames = stream::unfold(to_client, |mut frames| async {
            let frame = frames.recv().await?;
            Some((Ok(frame), frames))
        });
        let link = Link {
            sender: LinkSender::new(requests),
            receiver: LinkReceiver::new(frames),
        };
        Box::pin(async { Ok(link) })
    }

    fn serve(&self, _: &str, _: Arc<dyn Handler>) -> BoxFuture<'static, io::Result<Serving>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}

async fn serve(
    world: Arc<World>,
    (node, lane): (String, u8),
    (spawn, clock): (Spawn, Clock),
    mut requests: mpsc::Receiver<Bytes>,
    replies: mpsc::Sender<Bytes>,
) {
    let mut cut = world.cuts(&node);
    loop {
        let frame = tokio::select! {
            biased;
            _ = cut.changed() => return,
            frame = requests.recv() => frame,
        };
        let Some(frame) = frame else { return };
        let items = PipeRequest::decode(frame).unwrap().items;
        match world.answer(&node, lane, items) {
            Frame::Replies(items) if items.is_empty() => {}
            Frame::Held(items, delay) => send_late(&spawn, items, &replies, (clock.clone(), delay)),
            Frame::Replies(items) if !world.delay(&node).is_zero() => {
                send_late(&spawn, items, &replies, (clock.clone(), world.delay(&node)));
            }
            Frame::Replies(items) => {
                if replies
                    .send(PipeReply { items }.encode_to_vec().into())
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Frame::Raw(bytes) => {
                let _ = replies.send(bytes).await;
            }
            Frame::Cut => return,
        }
    }
}

fn send_late(
    spawn: &Spawn,
    items: Vec<PipeReplyItem>,
    replies: &mpsc::Sender<Bytes>,
    (clock, delay): (Clock, Duration),
) {
    let replies = replies.clone();
    spawn.spawn(async move {
        clock.sleep(delay).await;
        let _ = replies.send(PipeReply { items }.encode_to_vec().into()).await;
    });
}

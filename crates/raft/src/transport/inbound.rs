//! A stream that another node dialed: its calls come in, answers go out.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use atoll_env::BoxFuture;
use atoll_env::net::{Link, LinkReceiver, LinkSender};
use atoll_types::limits;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Counters, Transport};
use crate::wire::{Kind, Message, frame_messages, start_frame};

/// Calls of one stream being answered; beyond, the stream is not read.
const ANSWERING_MAX: usize = 4096;

struct Answers {
    queue: Mutex<Vec<Message>>,
    wake: Notify,
}

/// Serves a stream until it ends. Answers of calls that finish together share a frame.
pub(crate) async fn serve(transport: Arc<Transport>, link: Link) {
    let Link { sender, receiver } = link;
    let answers = Answers {
        queue: Mutex::default(),
        wake: Notify::new(),
    };
    tokio::select! {
        biased;
        () = read_calls(&transport, &answers, receiver) => {}
        () = write_answers(&transport.counters, &answers, sender) => {}
    }
}

async fn read_calls(transport: &Transport, answers: &Answers, mut receiver: LinkReceiver) {
    let mut answering: FuturesUnordered<BoxFuture<'static, Message>> = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            frame = receiver.recv(), if answering.len() < ANSWERING_MAX => {
                let Some(Ok(frame)) = frame else { return };
                if !start(transport, &answering, frame) {
                    return;
                }
            }
            Some(answer) = answering.next(), if !answering.is_empty() => {
                answers.queue.lock().push(answer);
                answers.wake.notify_one();
            }
        }
    }
}

/// Begins answering the calls of a frame; false if the frame cannot be read.
fn start(
    transport: &Transport,
    answering: &FuturesUnordered<BoxFuture<'static, Message>>,
    frame: Bytes,
) -> bool {
    for message in frame_messages(frame) {
        let Some(message) = message else {
            tracing::warn!("a frame of calls cannot be read; the stream is closed");
            return false;
        };
        answering.push(answer(transport, message));
    }
    true
}

fn answer(transport: &Transport, message: Message) -> BoxFuture<'static, Message> {
    let inbound = transport.inbound(&message);
    let Message {
        kind,
        group,
        from,
        to,
        call,
        body,
    } = message;
    Box::pin(async move {
        let result = match inbound {
            Ok(inbound) => inbound.answer(kind, body).await,
            Err(reason) => Err(reason),
        };
        let (kind, body) = match result {
            Ok(body) => (Kind::Reply, body),
            Err(reason) => (Kind::Refused, Bytes::from(reason)),
        };
        Message {
            kind,
            group,
            from: to,
            to: from,
            call,
            body,
        }
    })
}

async fn write_answers(counters: &Counters, answers: &Answers, sender: LinkSender) {
    loop {
        let mut ready = std::mem::take(&mut *answers.queue.lock()).into_iter().peekable();
        if ready.peek().is_none() {
            answers.wake.notified().await;
            continue;
        }
        let mut frame = start_frame(256);
        while let Some(message) = ready.next() {
            counters.messages.fetch_add(1, Ordering::Relaxed);
            message.encode(&mut frame);
            if frame.len() < limits::APPEND_BYTES && ready.peek().is_some() {
                continue;
            }
            counters.frames.fetch_add(1, Ordering::Relaxed);
            let whole = std::mem::replace(&mut frame, start_frame(256));
            if !sender.send(whole.freeze()).await {
                return;
            }
        }
    }
}

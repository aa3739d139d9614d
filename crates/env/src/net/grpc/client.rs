//! Calling and opening streams.

use std::sync::Arc;
use std::time::Duration;

use atoll_types::limits::MESSAGE_BYTES_MAX;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderValue, Method, Request, Response, Version, header};
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::body::SendBody;
use super::connections::{Connections, Lane};
use super::cut::Cut;
use super::frames::{FrameError, Frames, Side, chain};
use super::{LINK_FRAMES, status};
use crate::net::{CallError, Code, Link, LinkReceiver, LinkSender, Status};
use crate::{Clock, Instant};

/// One request, one answer.
pub(super) async fn call(
    connections: &Connections,
    clock: &Clock,
    to: &str,
    method: &'static str,
    message: Bytes,
    deadline: Duration,
) -> Result<Bytes, CallError> {
    if message.len() > MESSAGE_BYTES_MAX {
        let text = format!(
            "request of {} bytes, at most {MESSAGE_BYTES_MAX} are allowed",
            message.len()
        );
        return Err(Status::new(Code::ResourceExhausted, text).into());
    }
    let until = clock.now() + deadline;
    let mut request = request(to, method, SendBody::request(message))?;
    request
        .headers_mut()
        .insert("grpc-timeout", timeout_header(deadline));
    let answer = send(connections, clock, (to, Lane::Calls), request, until).await?;
    let left = until.since(clock.now());
    clock
        .timeout(left, read_answer(answer))
        .await
        .map_err(|_| CallError::Deadline)?
}

async fn read_answer(answer: Response<Incoming>) -> Result<Bytes, CallError> {
    if status::from_head(&answer)?.is_some() {
        return Err(CallError::Lost("the server answered with nothing".to_owned()));
    }
    let mut frames = Frames::new(answer.into_body(), Side::Answers);
    let message = match frames.next().await {
        Some(message) => message?,
        None => return Err(CallError::Lost("the server answered with nothing".to_owned())),
    };
    // The status comes behind the message, and counts.
    match frames.next().await {
        None => Ok(message),
        Some(Ok(_)) => Err(CallError::Lost("the server answered twice".to_owned())),
        Some(Err(error)) => Err(error.into()),
    }
}

/// Opens a stream.
pub(super) async fn open(
    connections: &Connections,
    clock: &Clock,
    to: &str,
    method: &'static str,
    lane: u8,
    deadline: Duration,
) -> Result<Link, CallError> {
    let until = clock.now() + deadline;
    let (sender, outgoing) = mpsc::channel(LINK_FRAMES);
    let cut = Arc::new(Cut::default());
    let request = request(to, method, SendBody::request_frames(outgoing, Arc::clone(&cut)))?;
    let answer = send(connections, clock, (to, Lane::Streams(lane)), request, until).await?;
    if status::from_head(&answer)?.is_some() {
        return Err(CallError::Lost("the server ended the stream at once".to_owned()));
    }
    let frames = Frames::link(answer.into_body(), Side::Answers, cut);
    Ok(Link {
        sender: LinkSender::new(sender),
        receiver: LinkReceiver::new(frames.map(|frame| frame.map_err(Into::into))),
    })
}

fn request(to: &str, method: &'static str, body: SendBody) -> Result<Request<SendBody>, CallError> {
    Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri(format!("http://{to}{method}"))
        .header(header::TE, HeaderValue::from_static("trailers"))
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
        .header(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("atoll/", env!("CARGO_PKG_VERSION"))),
        )
        .body(body)
        .map_err(|error| CallError::NotSent(format!("{to}: {error}")))
}

/// Sends the head of a request and waits for the head of the answer. A request that a dying
/// connection gave back unsent is sent once more over a new one.
async fn send(
    connections: &Connections,
    clock: &Clock,
    (to, lane): (&str, Lane),
    mut request: Request<SendBody>,
    until: Instant,
) -> Result<Response<Incoming>, CallError> {
    let mut retried = false;
    loop {
        let left = until.since(clock.now());
        let mut connection = match clock.timeout(left, connections.get(to, lane)).await {
            Ok(connected) => connected.map_err(CallError::NotSent)?,
            Err(_) => {
                return Err(CallError::NotSent(format!(
                    "no connection to {to} before the deadline"
                )));
            }
        };
        let left = until.since(clock.now());
        let answered = clock.timeout(left, connection.try_send_request(request)).await;
        let mut error = match answered {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => return Err(CallError::Deadline),
        };
        let why = chain(error.error());
        match error.take_message() {
            None => return Err(CallError::Lost(why)),
            Some(_) if retried => return Err(CallError::NotSent(why)),
            Some(unsent) => request = unsent,
        }
        retried = true;
    }
}

/// gRPC allows eight digits and a unit.
fn timeout_header(deadline: Duration) -> HeaderValue {
    let (number, unit) = match deadline.as_millis() {
        millis @ 0..100_000_000 => (millis, 'm'),
        millis => ((millis / 1000).min(99_999_999), 'S'),
    };
    HeaderValue::try_from(format!("{number}{unit}")).expect("digits and a letter are a header value")
}

impl From<FrameError> for CallError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Status(status) => Self::Status(status),
            FrameError::Malformed(status) => Self::Lost(status.message),
            FrameError::Broken(why) => Self::Lost(why),
        }
    }
}

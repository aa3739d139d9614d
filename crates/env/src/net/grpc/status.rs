//! Status to and from headers. The encoding (percent signs, base64) is tonic's.

use http::{HeaderMap, Response, StatusCode};

use crate::net::{Code, Status};

/// The status as trailers, or as headers of an answer without a body.
pub(super) fn to_headers(status: &Status) -> HeaderMap {
    let code = tonic::Code::from_i32(status.code as i32);
    let mut headers = HeaderMap::new();
    let full = tonic::Status::with_details(code, status.message.as_str(), status.details.clone());
    if full.add_header(&mut headers).is_err() {
        // Only a message that fits into no header can do that; the code is what matters.
        headers.clear();
        headers.insert("grpc-status", http::HeaderValue::from(status.code as i32));
    }
    headers
}

/// Success, as trailers.
pub(super) fn ok_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", http::HeaderValue::from_static("0"));
    headers
}

/// What trailers say; `None` if they say nothing.
pub(super) fn from_headers(headers: &HeaderMap) -> Option<Result<(), Status>> {
    let status = tonic::Status::from_header_map(headers)?;
    if status.code() == tonic::Code::Ok {
        return Some(Ok(()));
    }
    Some(Err(Status {
        code: Code::from_number(status.code() as i32),
        message: status.message().to_owned(),
        details: bytes::Bytes::copy_from_slice(status.details()),
    }))
}

/// What the head of an answer says: a status for a whole answer without a body, else `Ok(None)`.
pub(super) fn from_head<B>(answer: &Response<B>) -> Result<Option<()>, Status> {
    if let Some(outcome) = from_headers(answer.headers()) {
        return outcome.map(Some);
    }
    // gRPC's own table for answers by something that is not a gRPC server, such as a proxy.
    let code = match answer.status() {
        StatusCode::OK => return Ok(None),
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    Err(Status::new(
        code,
        format!("HTTP status {}, not a gRPC answer", answer.status()),
    ))
}

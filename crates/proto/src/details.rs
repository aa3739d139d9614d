//! Error details as gRPC libraries expect them: `grpc-status-details-bin` holds a `google.rpc.Status`
//! that repeats code and message and carries an [`ErrorDetail`] in an `Any`. Anything else there makes
//! libraries replace the status by an error of their own.

use bytes::Bytes;
use prost::Message;
use prost_types::Any;

use crate::v1::ErrorDetail;

/// The generated `google.rpc.Status`.
#[expect(unreachable_pub, reason = "generated; the comments are in proto/")]
mod rpc {
    include!(concat!(env!("OUT_DIR"), "/google.rpc.rs"));
}

/// How an `Any` names what it holds; what stands before the slash does not matter.
const TYPE_URL: &str = "type.googleapis.com/atoll.v1.ErrorDetail";

/// The bytes for `grpc-status-details-bin` beside a status of this gRPC `code`.
pub fn encode(code: i32, detail: &ErrorDetail) -> Bytes {
    let status = rpc::Status {
        code,
        message: detail.message.clone(),
        details: vec![Any {
            type_url: TYPE_URL.to_owned(),
            value: detail.encode_to_vec(),
        }],
    };
    status.encode_to_vec().into()
}

/// The detail in the bytes of `grpc-status-details-bin`; `None` if they hold none, as those of servers
/// other than Atoll.
pub fn decode(details: &[u8]) -> Option<ErrorDetail> {
    let status = rpc::Status::decode(details).ok()?;
    let named = |any: &&Any| any.type_url.ends_with("/atoll.v1.ErrorDetail");
    let any = status.details.iter().find(named)?;
    ErrorDetail::decode(any.value.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::error_detail::Kind;

    #[test]
    fn a_detail_comes_back_and_its_status_repeats_the_code() {
        let detail = ErrorDetail {
            kind: Kind::Overloaded.into(),
            message: "full".to_owned(),
            retry_after_ms: 30,
            ..ErrorDetail::default()
        };
        let bytes = encode(8, &detail);
        assert_eq!(decode(&bytes), Some(detail.clone()));
        let status = rpc::Status::decode(bytes).unwrap();
        assert_eq!((status.code, status.message.as_str()), (8, "full"));
        // A bare detail is not what libraries can read, nor is anything else.
        assert_eq!(decode(&detail.encode_to_vec()), None);
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[0xff; 9]), None);
    }
}

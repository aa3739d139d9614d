//! `grpc.reflection.v1` and its older name: what the services of this server look like, for tools that
//! know no proto file. A question that has no answer gets an error inside the stream, as the protocol
//! has it; only what is no question at all ends the stream.

use atoll_env::net::{Code, Link, Status};
use atoll_proto::reflection::server_reflection_request::MessageRequest as Question;
use atoll_proto::reflection::server_reflection_response::MessageResponse as Answer;
use atoll_proto::reflection::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
};
use bytes::Bytes;
use prost::Message;

use super::shortened;
use super::symbols::Symbols;

/// A request holds a name or two; it is sent back with the answer.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Answers questions about the services.
#[derive(Debug)]
pub(super) struct Reflection(Symbols);

impl Reflection {
    /// Over the files that this server was built from.
    pub(super) fn of_this_server() -> Self {
        let symbols = Symbols::decode(atoll_proto::DESCRIPTORS);
        Self(symbols.expect("the compiler wrote what prost-types reads; a test decodes it"))
    }

    /// Full names of all services, in order.
    pub(super) fn services(&self) -> &[String] {
        self.0.services()
    }

    /// Answers the requests of one stream in order, until the caller closes it.
    pub(super) async fn serve(&self, mut link: Link) {
        while let Some(Ok(frame)) = link.receiver.recv().await {
            let response = match self.answer(frame) {
                Ok(response) => response.encode_to_vec(),
                Err(status) => return link.sender.fail(status),
            };
            if !link.sender.send(response.into()).await {
                return;
            }
        }
    }

    fn answer(&self, frame: Bytes) -> Result<ServerReflectionResponse, Status> {
        let invalid = |text: String| Status::new(Code::InvalidArgument, text);
        if frame.len() > REQUEST_BYTES_MAX {
            return Err(invalid(format!(
                "a request of {} bytes, at most {REQUEST_BYTES_MAX} are allowed",
                frame.len()
            )));
        }
        let request = ServerReflectionRequest::decode(frame)
            .map_err(|error| invalid(format!("the request cannot be read: {error}")))?;
        let answer = match &request.message_request {
            Some(question) => self.find(question),
            None => Err((
                Code::InvalidArgument,
                "the request asks for nothing that this server knows".to_owned(),
            )),
        };
        Ok(ServerReflectionResponse {
            valid_host: request.host.clone(),
            message_response: Some(answer.unwrap_or_else(|(code, text)| {
                Answer::ErrorResponse(ErrorResponse {
                    error_code: code as i32,
                    error_message: text,
                })
            })),
            original_request: Some(request),
        })
    }

    fn find(&self, question: &Question) -> Result<Answer, (Code, String)> {
        let files = |files: Option<Vec<Bytes>>, what: String| match files {
            Some(file_descriptor_proto) => Ok(Answer::FileDescriptorResponse(FileDescriptorResponse {
                file_descriptor_proto,
            })),
            None => Err((Code::NotFound, format!("there is no {what}"))),
        };
        match question {
            Question::FileByFilename(name) => files(self.0.file(name), format!("file {}", shortened(name))),
            Question::FileContainingSymbol(name) => {
                files(self.0.file_of(name), format!("symbol {}", shortened(name)))
            }
            Question::FileContainingExtension(asked) => {
                let (message, number) = (&asked.containing_type, asked.extension_number);
                let what = format!("extension {number} of {}", shortened(message));
                files(self.0.file_of_extension(message, number), what)
            }
            Question::AllExtensionNumbersOfType(message) => match self.0.extension_numbers(message) {
                Some(extension_number) => Ok(Answer::AllExtensionNumbersResponse(ExtensionNumberResponse {
                    base_type_name: message.clone(),
                    extension_number,
                })),
                None => Err((
                    Code::NotFound,
                    format!("there is no message {}", shortened(message)),
                )),
            },
            Question::ListServices(_) => {
                let service = |name: &String| ServiceResponse { name: name.clone() };
                Ok(Answer::ListServicesResponse(ListServiceResponse {
                    service: self.services().iter().map(service).collect(),
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_proto::reflection::ExtensionRequest;

    fn ask(question: Option<Question>) -> Answer {
        let request = ServerReflectionRequest {
            host: "somewhere".to_owned(),
            message_request: question,
        };
        let response = Reflection::of_this_server()
            .answer(request.encode_to_vec().into())
            .unwrap();
        assert_eq!(response.original_request, Some(request));
        assert_eq!(response.valid_host, "somewhere");
        response.message_response.unwrap()
    }

    fn error_code(answer: &Answer) -> i32 {
        match answer {
            Answer::ErrorResponse(error) => error.error_code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_question_has_an_answer() {
        let Answer::ListServicesResponse(list) = ask(Some(Question::ListServices(String::new()))) else {
            panic!()
        };
        assert_eq!(list.service.len(), 6);
        let symbol = Question::FileContainingSymbol("atoll.v1.Admin.Status".to_owned());
        let Answer::FileDescriptorResponse(files) = ask(Some(symbol)) else {
            panic!()
        };
        // Status counters and shard maps are in admin.proto, which imports nothing.
        assert_eq!(files.file_descriptor_proto.len(), 1);
        let numbers = Question::AllExtensionNumbersOfType("atoll.v1.GetRequest".to_owned());
        let Answer::AllExtensionNumbersResponse(numbers) = ask(Some(numbers)) else {
            panic!()
        };
        assert_eq!(
            (numbers.base_type_name.as_str(), numbers.extension_number.len()),
            ("atoll.v1.GetRequest", 0)
        );
    }

    #[test]
    fn what_is_not_there_is_told_as_not_found() {
        let extension = ExtensionRequest {
            containing_type: "atoll.v1.GetRequest".to_owned(),
            extension_number: 100,
        };
        for question in [
            Question::FileByFilename("no.proto".to_owned()),
            Question::FileContainingSymbol("atoll.v1.Nothing".to_owned()),
            Question::FileContainingExtension(extension),
            Question::AllExtensionNumbersOfType("atoll.v1.Kv".to_owned()),
        ] {
            let answer = ask(Some(question));
            assert_eq!(error_code(&answer), Code::NotFound as i32, "{answer:?}");
        }
        assert_eq!(error_code(&ask(None)), Code::InvalidArgument as i32);
    }

    #[test]
    fn what_is_no_request_ends_the_stream_with_a_reason() {
        let reflection = Reflection::of_this_server();
        let code = |frame: Vec<u8>| reflection.answer(frame.into()).unwrap_err().code;
        assert_eq!(code(vec![0xff; 9]), Code::InvalidArgument);
        let long = ServerReflectionRequest {
            host: "h".repeat(REQUEST_BYTES_MAX),
            message_request: None,
        };
        assert_eq!(code(long.encode_to_vec()), Code::InvalidArgument);
        let good = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(Question::FileContainingSymbol("x".repeat(300))),
        }
        .encode_to_vec();
        for position in 0..good.len().min(12) {
            for bit in 0..8 {
                let mut wrong = good.clone();
                wrong[position] ^= 1 << bit;
                // Either it is refused or it is some other request; it must not panic.
                let _ = reflection.answer(wrong.into());
            }
        }
    }
}

//! Which file declares what: an index over descriptors.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto};

/// A set of files that keeps each file's bytes as they are, so that nothing is lost that `prost_types`
/// does not know.
#[derive(Clone, PartialEq, Message)]
struct RawSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

/// Position of a file in [`Symbols::files`].
type FileIndex = usize;

/// Everything that a set of files declares.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    files: Vec<File>,
    by_name: BTreeMap<String, FileIndex>,
    by_symbol: BTreeMap<String, FileIndex>,
    /// Extensions by the message they extend.
    extensions: BTreeMap<String, BTreeMap<i32, FileIndex>>,
    /// Names of messages.
    messages: Vec<String>,
    /// Full names of services, in order.
    services: Vec<String>,
}

#[derive(Debug)]
struct File {
    bytes: Bytes,
    imports: Vec<String>,
}

impl Symbols {
    /// Indexes an encoded `FileDescriptorSet`.
    pub(super) fn decode(set: &[u8]) -> Result<Self, prost::DecodeError> {
        let mut symbols = Self::default();
        for bytes in RawSet::decode(set)?.file {
            let file = FileDescriptorProto::decode(bytes.clone())?;
            symbols.add(&file, bytes);
        }
        symbols.services.sort();
        symbols.messages.sort();
        Ok(symbols)
    }

    /// Full names of all services.
    pub(super) fn services(&self) -> &[String] {
        &self.services
    }

    /// The file of that name and all that it imports, each once.
    pub(super) fn file(&self, name: &str) -> Option<Vec<Bytes>> {
        self.by_name.get(name).map(|&file| self.with_imports(file))
    }

    /// The file that declares a symbol, and all that it imports.
    pub(super) fn file_of(&self, symbol: &str) -> Option<Vec<Bytes>> {
        self.by_symbol.get(symbol).map(|&file| self.with_imports(file))
    }

    /// The file that declares an extension, and all that it imports.
    pub(super) fn file_of_extension(&self, message: &str, number: i32) -> Option<Vec<Bytes>> {
        let file = self.extensions.get(message)?.get(&number)?;
        Some(self.with_imports(*file))
    }

    /// The numbers of a message's extensions; `None` if there is no such message.
    pub(super) fn extension_numbers(&self, message: &str) -> Option<Vec<i32>> {
        if let Some(numbers) = self.extensions.get(message) {
            return Some(numbers.keys().copied().collect());
        }
        let known = self
            .messages
            .binary_search_by(|known| known.as_str().cmp(message));
        known.is_ok().then(Vec::new)
    }

    fn with_imports(&self, file: FileIndex) -> Vec<Bytes> {
        let mut found = vec![file];
        let mut next = 0;
        while let Some(file) = found.get(next).and_then(|&file| self.files.get(file)) {
            let imports = file.imports.iter().filter_map(|name| self.by_name.get(name));
            let new: Vec<_> = imports
                .filter(|import| !found.contains(import))
                .copied()
                .collect();
            found.extend(new);
            next += 1;
        }
        let bytes = |file: FileIndex| self.files.get(file).map(|file| file.bytes.clone());
        found.into_iter().filter_map(bytes).collect()
    }

    fn add(&mut self, file: &FileDescriptorProto, bytes: Bytes) {
        let index = self.files.len();
        let package = file.package().to_owned();
        self.by_name.insert(file.name().to_owned(), index);
        self.files.push(File {
            bytes,
            imports: file.dependency.clone(),
        });
        for service in &file.service {
            let name = self.name(index, &package, service.name());
            for method in &service.method {
                self.name(index, &name, method.name());
            }
            self.services.push(name);
        }
        for message in &file.message_type {
            self.add_message(index, &package, message);
        }
        for listed in &file.enum_type {
            self.add_enum(index, &package, listed);
        }
        self.add_extensions(index, &package, &file.extension);
    }

    /// Nothing but the depth of the files at hand bounds the recursion; the compiler accepted them.
    fn add_message(&mut self, file: FileIndex, scope: &str, message: &DescriptorProto) {
        let name = self.name(file, scope, message.name());
        for field in &message.field {
            self.name(file, &name, field.name());
        }
        for oneof in &message.oneof_decl {
            self.name(file, &name, oneof.name());
        }
        for nested in &message.nested_type {
            self.add_message(file, &name, nested);
        }
        for listed in &message.enum_type {
            self.add_enum(file, &name, listed);
        }
        self.add_extensions(file, &name, &message.extension);
        self.messages.push(name);
    }

    fn add_enum(&mut self, file: FileIndex, scope: &str, listed: &EnumDescriptorProto) {
        let name = self.name(file, scope, listed.name());
        for value in &listed.value {
            // By the rules of the language a value lives beside its enum; some tools ask for it inside.
            self.name(file, scope, value.name());
            self.name(file, &name, value.name());
        }
    }

    fn add_extensions(&mut self, file: FileIndex, scope: &str, extensions: &[FieldDescriptorProto]) {
        for extension in extensions {
            self.name(file, scope, extension.name());
            let message = extension.extendee().trim_start_matches('.').to_owned();
            let numbers = self.extensions.entry(message).or_default();
            numbers.insert(extension.number(), file);
        }
    }

    fn name(&mut self, file: FileIndex, scope: &str, name: &str) -> String {
        let full = if scope.is_empty() {
            name.to_owned()
        } else {
            format!("{scope}.{name}")
        };
        self.by_symbol.insert(full.clone(), file);
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::{EnumValueDescriptorProto, FileDescriptorSet};

    fn this_server() -> Symbols {
        Symbols::decode(atoll_proto::DESCRIPTORS).unwrap()
    }

    fn names(files: &[Bytes]) -> Vec<String> {
        let name = |bytes: &Bytes| {
            FileDescriptorProto::decode(bytes.clone())
                .unwrap()
                .name()
                .to_owned()
        };
        files.iter().map(name).collect()
    }

    #[test]
    fn every_kind_of_symbol_is_found() {
        let symbols = this_server();
        for symbol in [
            "atoll.v1.Kv",
            "atoll.v1.Kv.Put",
            "atoll.v1.PutRequest",
            "atoll.v1.PutRequest.key",
            "atoll.v1.WriteOp.Kind",
            "atoll.v1.WriteOp.Kind.PUT",
            "atoll.v1.WriteOp.PUT",
            "atoll.v1.Consistency",
            "atoll.v1.LINEARIZABLE",
            "atoll.v1.PipeRequestItem.operation",
        ] {
            let files = symbols.file_of(symbol).unwrap_or_else(|| panic!("{symbol}"));
            assert_eq!(names(&files), ["atoll/v1/kv.proto"], "{symbol}");
        }
        for unknown in [
            "",
            "atoll.v1",
            "atoll.v1.kv",
            "Kv",
            ".atoll.v1.Kv",
            "atoll.v1.Kv.Put.key",
        ] {
            assert!(symbols.file_of(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn imports_come_along_behind_the_file() {
        let symbols = this_server();
        let files = symbols.file("google/rpc/status.proto").unwrap();
        assert_eq!(
            names(&files),
            ["google/rpc/status.proto", "google/protobuf/any.proto"]
        );
        assert!(symbols.file("atoll/v1/none.proto").is_none());
    }

    #[test]
    fn the_services_are_those_that_the_router_answers() {
        let expected = [
            "atoll.v1.Admin",
            "atoll.v1.Kv",
            "atoll.v1.Peer",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ];
        assert_eq!(this_server().services(), expected);
    }

    /// A file with what proto3 has not: extensions, at the top and nested.
    fn with_extensions() -> FileDescriptorProto {
        let extension = |name: &str, number: i32| FieldDescriptorProto {
            name: Some(name.to_owned()),
            number: Some(number),
            extendee: Some(".p.Base".to_owned()),
            ..FieldDescriptorProto::default()
        };
        let message = |name: &str, extension: Vec<FieldDescriptorProto>| DescriptorProto {
            name: Some(name.to_owned()),
            extension,
            ..DescriptorProto::default()
        };
        FileDescriptorProto {
            name: Some("p.proto".to_owned()),
            package: Some("p".to_owned()),
            message_type: vec![
                message("Base", Vec::new()),
                message("Other", vec![extension("inner", 200)]),
            ],
            enum_type: vec![EnumDescriptorProto {
                name: Some("E".to_owned()),
                value: vec![EnumValueDescriptorProto {
                    name: Some("V".to_owned()),
                    ..EnumValueDescriptorProto::default()
                }],
                ..EnumDescriptorProto::default()
            }],
            extension: vec![extension("outer", 100)],
            // An import that the set does not have is left out.
            dependency: vec!["missing.proto".to_owned(), "p.proto".to_owned()],
            ..FileDescriptorProto::default()
        }
    }

    #[test]
    fn extensions_are_found_by_message_and_number() {
        let set = FileDescriptorSet {
            file: vec![with_extensions()],
        };
        let symbols = Symbols::decode(&set.encode_to_vec()).unwrap();
        assert_eq!(symbols.extension_numbers("p.Base"), Some(vec![100, 200]));
        assert_eq!(symbols.extension_numbers("p.Other"), Some(Vec::new()));
        assert_eq!(symbols.extension_numbers("p.E"), None);
        assert_eq!(
            names(&symbols.file_of_extension("p.Base", 200).unwrap()),
            ["p.proto"]
        );
        assert!(symbols.file_of_extension("p.Base", 7).is_none());
        for symbol in ["p.outer", "p.Other.inner", "p.V", "p.E.V"] {
            assert!(symbols.file_of(symbol).is_some(), "{symbol}");
        }
    }

    #[test]
    fn the_bytes_of_a_file_are_those_of_the_compiler() {
        let set = FileDescriptorSet::decode(atoll_proto::DESCRIPTORS).unwrap();
        let raw = RawSet::decode(atoll_proto::DESCRIPTORS).unwrap();
        assert_eq!(raw.encode_to_vec(), atoll_proto::DESCRIPTORS);
        assert_eq!(raw.file.len(), set.file.len());
        assert!(Symbols::decode(&[0x0a, 0x02, 0xff, 0xff]).is_err());
    }
}

//! Generates the messages from `proto/` with a pure-Rust compiler, and keeps the description of all
//! files for gRPC reflection.

use std::error::Error;
use std::path::PathBuf;

#[expect(clippy::disallowed_methods, reason = "a build script writes files")]
fn main() -> Result<(), Box<dyn Error>> {
    let root = "../../proto";
    let files = [
        "atoll/v1/kv.proto",
        "atoll/v1/admin.proto",
        "grpc/health/v1/health.proto",
        "grpc/reflection/v1/reflection.proto",
        "grpc/reflection/v1alpha/reflection.proto",
        "google/rpc/status.proto",
    ];
    for file in files {
        println!("cargo::rerun-if-changed={root}/{file}");
    }
    let mut compiler = protox::Compiler::new([root])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(files)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    prost_build::Config::new()
        .bytes(["."])
        // Else every point read would be moved about in the room of a scan.
        .boxed(".atoll.v1.PipeRequestItem.operation.scan")
        .boxed(".atoll.v1.PipeReplyItem.result.scan")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

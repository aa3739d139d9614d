//! Generates the messages from `proto/` with a pure-Rust compiler.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let root = "../../proto";
    let files = ["atoll/v1/kv.proto", "atoll/v1/admin.proto"];
    for file in files {
        println!("cargo::rerun-if-changed={root}/{file}");
    }
    let set = protox::compile(files, [root])?;
    prost_build::Config::new().bytes(["."]).compile_fds(set)?;
    Ok(())
}

//! Generates the messages of the log from `proto/`; protox stands in for an installed protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    println!("cargo:rerun-if-changed={root}/waywarden/v1/log.proto");
    let files = protox::compile(["waywarden/v1/log.proto"], [root])?;
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}

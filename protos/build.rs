//! Generates the messages of `proto/` with a compiler written in Rust: no `protoc` is needed to build.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

use protox::prost::Message as _;
use protox::prost_reflect::prost_types::FileDescriptorSet;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("proto");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", root.display());

    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();

    let descriptors = protox::compile(&files, [root])?;
    write_descriptors(descriptors.clone())?;
    prost_build::Config::new()
        // `Bytes`: a field of a decoded message shares the memory of what it was decoded from.
        .bytes(["."])
        // Sorted maps: one message has one encoding.
        .btree_map(["."])
        .compile_fds(descriptors)?;
    Ok(())
}

/// Writes the descriptors for programs that handle messages by their description, without the comments.
fn write_descriptors(mut descriptors: FileDescriptorSet) -> Result<(), Box<dyn Error>> {
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    let folder = std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    fs::write(
        Path::new(&folder).join("descriptors.bin"),
        descriptors.encode_to_vec(),
    )?;
    Ok(())
}

/// Adds every `.proto` file below `folder`.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

//! Compiles lwIP's core, as the `lwip` crate ships it, with the options of `c/lwipopts.h`.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let sources = lwip().join("src");
    let mut build = cc::Build::new();
    build.include("c").include(sources.join("include")).file("c/glue.c").warnings(false).flag("-fno-strict-aliasing");
    for folder in ["core", "core/ipv4", "core/ipv6"] {
        let entries = std::fs::read_dir(sources.join(folder)).unwrap_or_else(|e| panic!("{folder} of lwIP: {e}"));
        let mut files: Vec<PathBuf> =
            entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.extension().is_some_and(|x| x == "c")).collect();
        files.sort();
        build.files(files);
    }
    build.compile("lwip_core");
    println!("cargo:rerun-if-changed=c");
    println!("cargo:rustc-env=LWIP_VERSION={}", version(&sources));
}

/// Where cargo has put the crate's files.
fn lwip() -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo).args(["metadata", "--format-version=1", "--locked"]).output().expect("cargo metadata runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let lwip = packages.iter().find(|p| p["name"] == "lwip").expect("the lwip crate is locked");
    Path::new(lwip["manifest_path"].as_str().expect("a path")).parent().expect("a folder").to_owned()
}

fn version(sources: &Path) -> String {
    let text = std::fs::read_to_string(sources.join("include/lwip/init.h")).expect("init.h");
    let number = |name: &str| {
        text.lines().find_map(|l| l.strip_prefix(&format!("#define LWIP_VERSION_{name} "))?.split_whitespace().next().map(str::to_owned))
    };
    ["MAJOR", "MINOR", "REVISION"].map(|n| number(n).unwrap_or_default()).join(".")
}

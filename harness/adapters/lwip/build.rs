//! Compiles lwIP's core, as the `lwip` crate ships it, with the options of `c/lwipopts.h`; under cargo-fuzz with its sanitizer, and with counters of what code ran.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let sources = lwip().join("src");
    let mut build = cc::Build::new();
    // By their names they can be told from what is not lwIP's.
    build.flag("-fno-data-sections").flag("-fno-strict-aliasing");
    build.include("c").include(sources.join("include")).file("c/glue.c").warnings(false);
    for folder in ["core", "core/ipv4", "core/ipv6"] {
        let entries = std::fs::read_dir(sources.join(folder)).unwrap_or_else(|e| panic!("{folder} of lwIP: {e}"));
        let mut files: Vec<PathBuf> =
            entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.extension().is_some_and(|x| x == "c")).collect();
        files.sort();
        build.files(files);
    }
    let mut library = cc::Build::new();
    // It goes over what sanitizers put between the variables.
    library.include("c").file("c/life.c").flag("-fno-sanitize=address");
    // Under cargo-fuzz; cc itself adds the sanitizer that the Rust code has.
    if std::env::var_os("CARGO_CFG_FUZZING").is_some() {
        build.flag("-fsanitize-coverage=trace-pc");
        library.define("LWIP_COVERAGE", None);
    }
    for object in build.compile_intermediates() {
        gather(&object);
        library.object(object);
    }
    library.compile("lwip_core");
    println!("cargo:rerun-if-changed=c");
    println!("cargo:rustc-env=LWIP_VERSION={}", version(&sources));
}

/// Puts an object's variables into the section `lwip_life`, which `c/life.c` puts back at each start.
fn gather(object: &Path) {
    let mut objcopy = Command::new("objcopy");
    for section in [".data", ".bss", ".data.rel", ".data.rel.local"] {
        objcopy.arg("--rename-section").arg(format!("{section}=lwip_life,alloc,load,data,contents"));
    }
    objcopy.args(["--redefine-sym", "__sanitizer_cov_trace_pc=life_trace_pc"]);
    let status = objcopy.arg(object).status().expect("objcopy, of the binutils that the compiler needs too, runs");
    assert!(status.success(), "objcopy of {}: {status}", object.display());
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

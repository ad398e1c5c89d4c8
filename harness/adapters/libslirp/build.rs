//! Links libslirp from the folder that `build.sh` has found or filled.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBSLIRP");
    // By default where the linker looks by itself: Debian's libslirp-dev, installed.
    if let Ok(folder) = std::env::var("LIBSLIRP") {
        println!("cargo:rustc-link-search=native={folder}");
        println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{folder},-rpath-link,{folder}");
    }
    println!("cargo:rustc-link-lib=dylib=slirp");
}

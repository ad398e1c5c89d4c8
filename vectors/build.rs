//! Lists the vectors of the tree, so that the crate embeds them.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    // The whole folder, for a new area is a change too.
    println!("cargo::rerun-if-changed={root}");
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    let mut areas: Vec<String> = names(Path::new(&root))?;
    areas.retain(|a| Path::new(&root).join(a).is_dir() && !["src", "tests", "target"].contains(&a.as_str()));
    let mut list = String::from("&[\n");
    for area in areas {
        let folder = Path::new(&root).join(&area);
        for name in names(&folder)? {
            let Some(slug) = name.strip_suffix(".pkt").or_else(|| name.strip_suffix(".pkt.tmpl")) else { continue };
            let (id, file, path) = (format!("{area}/{slug}"), format!("{area}/{name}"), folder.join(&name));
            list += &format!("    ({id:?}, {file:?}, include_str!({:?})),\n", path.display().to_string());
        }
    }
    list.push_str("]\n");
    fs::write(Path::new(&out).join("files.rs"), list)
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}
